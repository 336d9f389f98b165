/**
 * Tags: a bitmap with a hint per CPU, and the bios and tasks that wait for one.
 * Kernel counterpart: lib/sbitmap.c, block/blk-mq-tag.c.
 *
 * Invariant: a set bit is a tag in use; bits beyond the depth are set for ever, so that no search finds them.
 */
import { type Completion, complete, type HasKernel, type Kernel } from '@nvme-stack/kernel';
import type { BioImpl } from './bio.js';
import type { HwCtx } from './hw-ctx.js';
import type { RequestImpl } from './request.js';
import { mayQueue } from './tag-share.js';

/** Index of a word's single bit by its de Bruijn product. */
const BIT_INDEX = new Int8Array(32);
for (let i = 0; i < 32; i++) BIT_INDEX[Math.imul(1 << i, 0x077cb531) >>> 27] = i;

/** @kernel include/linux/sbitmap.h sbitmap_queue */
export class TagBitmap {
  /** At most what `words` has room for. */
  depth: number;
  readonly words: Int32Array;
  /** Where each CPU looks first: the tag it freed last, or the one after the last it took. */
  readonly hint: Int32Array;
  busy = 0;

  constructor(depth: number, nrCpus: number) {
    this.depth = depth;
    this.words = new Int32Array((depth + 31) >>> 5);
    this.hint = new Int32Array(nrCpus);
    const tail = depth & 31;
    if (tail !== 0) this.words[this.words.length - 1] = -1 << tail;
  }
}

/** Another depth, within the room there is; no bit is in use. @kernel lib/sbitmap.c sbitmap_queue_resize */
export function resizeBitmap(map: TagBitmap, depth: number): void {
  const { words } = map;
  map.depth = Math.min(depth, words.length * 32);
  map.hint.fill(0);
  for (let index = 0; index < words.length; index++) {
    const room = map.depth - index * 32;
    words[index] = room >= 32 ? 0 : room <= 0 ? -1 : -1 << room;
  }
}

/** Takes a free bit, or returns -1. Any context. @kernel lib/sbitmap.c __sbitmap_queue_get */
export function bitmapGet(map: TagBitmap, cpu: number): number {
  const { words, hint } = map;
  const first = hint[cpu];
  const word = first >>> 5;
  const bit = 1 << (first & 31);
  if ((words[word] & bit) !== 0) return bitmapSearch(map, cpu, first);
  words[word] |= bit;
  map.busy++;
  const next = first + 1;
  hint[cpu] = next < map.depth ? next : 0;
  return first;
}

function bitmapSearch(map: TagBitmap, cpu: number, from: number): number {
  const { words } = map;
  if (map.busy === map.depth) {
    map.hint[cpu] = 0;
    return -1;
  }
  const count = words.length;
  const start = from >>> 5;
  let mask = -1 << (from & 31);
  for (let i = 0; i <= count; i++) {
    const index = start + i < count ? start + i : start + i - count;
    const free = ~words[index] & mask;
    mask = -1;
    if (free === 0) continue;
    const bit = free & -free;
    words[index] |= bit;
    map.busy++;
    return (index << 5) + BIT_INDEX[Math.imul(bit, 0x077cb531) >>> 27];
  }
  return -1;
}

/** Whether a tag is in use. */
export function bitmapTest(map: TagBitmap, tag: number): boolean {
  return (map.words[tag >>> 5] & (1 << (tag & 31))) !== 0;
}

/**
 * Frees a bit; false when it was free already. Of tags freed together the first becomes the hint, so that a steady
 * depth uses the same few requests again and again. @kernel lib/sbitmap.c sbitmap_queue_clear
 */
export function bitmapClear(map: TagBitmap, tag: number, cpu: number, hint: boolean): boolean {
  const { words } = map;
  const word = tag >>> 5;
  const bit = 1 << (tag & 31);
  if ((words[word] & bit) === 0) return false;
  words[word] &= ~bit;
  map.busy--;
  if (hint) map.hint[cpu] = tag;
  return true;
}

/** A task that waits for a tag; whoever frees one hands it over. */
export class TagWaiter {
  readonly reserved: boolean;
  readonly granted: Completion;
  tag = -1;

  constructor(reserved: boolean, granted: Completion) {
    this.reserved = reserved;
    this.granted = granted;
  }
}

/** The tags of one hardware queue, shared by every request queue of the set. @kernel include/linux/blk-mq.h blk_mq_tags */
export class Tags implements HasKernel {
  readonly kernel: Kernel;
  readonly name: string;
  readonly nrTags: number;
  readonly nrReserved: number;
  readonly bitmap: TagBitmap;
  readonly reserved: TagBitmap | null;
  /** Which request answers to a tag now; the flush machinery borrows tags. */
  readonly rqs: RequestImpl[] = [];
  readonly staticRqs: RequestImpl[] = [];
  /** Bios that wait for a tag, first in, first out. */
  waitHead: BioImpl | null = null;
  waitTail: BioImpl | null = null;
  /** Tasks that wait for a tag of a driver-private request. */
  readonly waitingTasks: TagWaiter[] = [];
  /** Hardware queues whose scheduled requests wait for a tag of the driver's. */
  readonly waitingHctxs: HwCtx[] = [];
  /** Hardware queues in use that share these tags. @kernel include/linux/blk-mq.h blk_mq_tags.active_queues */
  activeQueues = 0;
  /** Parked bios are being given tags further up the stack. */
  draining = false;

  constructor(kernel: Kernel, name: string, nrTags: number, nrReserved: number) {
    this.kernel = kernel;
    this.name = name;
    this.nrTags = nrTags;
    this.nrReserved = nrReserved;
    this.bitmap = new TagBitmap(nrTags - nrReserved, kernel.nrCpus);
    this.reserved = nrReserved === 0 ? null : new TagBitmap(nrReserved, kernel.nrCpus);
  }
}

/** Takes a tag, or returns -1. Any context. @kernel block/blk-mq-tag.c __blk_mq_get_tag */
export function getTag(tags: Tags, cpu: number, reserved: boolean): number {
  if (reserved) return tags.reserved === null ? -1 : bitmapGet(tags.reserved, cpu);
  const tag = bitmapGet(tags.bitmap, cpu);
  return tag < 0 ? -1 : tag + tags.nrReserved;
}

/** Gives a tag back; giving back what is free is a BUG. Does not wake anybody. */
export function clearTag(tags: Tags, tag: number, cpu: number, hint: boolean): void {
  const { nrReserved } = tags;
  const cleared =
    tag < nrReserved
      ? bitmapClear(tags.reserved as TagBitmap, tag, cpu, hint)
      : bitmapClear(tags.bitmap, tag - nrReserved, cpu, hint);
  if (!cleared) tags.kernel.ex.bug(`tag ${tag} of ${tags.name} freed twice`);
}

/** Hands free tags to the tasks that wait, in their order. */
export function grantTasks(tags: Tags, cpu: number): void {
  const { waitingTasks } = tags;
  for (let i = 0; i < waitingTasks.length; ) {
    const waiter = waitingTasks[i];
    waiter.tag = getTag(tags, cpu, waiter.reserved);
    if (waiter.tag < 0) {
      i++;
      continue;
    }
    waitingTasks.splice(i, 1);
    complete(waiter.granted);
  }
}

/** Whether a tag is in use. */
export function tagInUse(tags: Tags, tag: number): boolean {
  if (tag < 0 || tag >= tags.nrTags) return false;
  if (tag < tags.nrReserved) return bitmapTest(tags.reserved as TagBitmap, tag);
  return bitmapTest(tags.bitmap, tag - tags.nrReserved);
}

/** How many tags are in use. */
export function tagsBusy(tags: Tags): number {
  return tags.bitmap.busy + (tags.reserved === null ? 0 : tags.reserved.busy);
}

/** Puts a bio, whose `waitHctx` is set, behind those that wait already. */
export function parkForTag(tags: Tags, bio: BioImpl): void {
  bio.next = null;
  (bio.waitHctx as HwCtx).nrWaiting++;
  if (tags.waitTail === null) tags.waitHead = bio;
  else tags.waitTail.next = bio;
  tags.waitTail = bio;
}

/** Takes the bio that has waited longest. */
export function unparkFirst(tags: Tags): BioImpl | null {
  const bio = tags.waitHead;
  if (bio === null) return null;
  tags.waitHead = bio.next;
  if (tags.waitHead === null) tags.waitTail = null;
  bio.next = null;
  (bio.waitHctx as HwCtx).nrWaiting--;
  return bio;
}

/** Takes the bio that has waited longest of those whose hardware queue may take another tag. */
export function unparkAllowed(tags: Tags): BioImpl | null {
  let before: BioImpl | null = null;
  for (let bio = tags.waitHead; bio !== null; before = bio, bio = bio.next) {
    const hctx = bio.waitHctx as HwCtx;
    if (hctx.shared && hctx.schedTags !== tags && !mayQueue(hctx)) continue;
    if (before === null) return unparkFirst(tags);
    before.next = bio.next;
    if (tags.waitTail === bio) tags.waitTail = before;
    bio.next = null;
    hctx.nrWaiting--;
    return bio;
  }
  return null;
}
