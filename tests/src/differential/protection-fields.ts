/** Metadata pointers and the fields of protection information, in commands for namespaces that have them. [NVM] 5.2. */
import type { Draft } from './draft.js';
import type { Random } from './random.js';
import { DATA_PAGES, INPUT_PAGE, PAGE } from './step.js';

const PRACT = 8;
const PRINFO_SHIFT = 26;
/** An SGL descriptor of the metadata, in a page of input. */
const DESCRIPTOR_AT = INPUT_PAGE * PAGE + 2048;
const TAGS = [0, 1, 0xffff, 0x1234];
const MASKS = [0, 0xffff, 0xffff, 0xff00];

/** Gives a transfer a metadata pointer, of the kind that its PSDT says; now and then one to the first page. */
export function metadataPointer(draft: Draft, random: Random, blocks: number): void {
  const { metadataBytes, isExtended } = draft.medium;
  if (metadataBytes === 0 || (isExtended && random.oneIn(2))) return;
  if (random.oneIn(20)) {
    // None would be address 0, whose memory is neither host's.
    draft.pages.push(0, 1, 2);
    draft.pointers.push([16, { target: 0 }]);
    return;
  }
  const length = blocks * metadataBytes;
  const page = random.below(DATA_PAGES);
  const target = page * PAGE + (random.oneIn(3) ? 4 * random.below(PAGE / 4) : 0);
  for (let i = 0; i <= Math.ceil(length / PAGE); i++) if (page + i < DATA_PAGES) draft.pages.push(page + i);
  if ((draft.sqe[1] as number) >> 6 !== 2) {
    draft.pointers.push([16, { target }]);
    return;
  }
  const rest = new Uint8Array(8);
  new DataView(rest.buffer).setUint32(0, random.oneIn(8) ? random.pick([0, 1, length - 1, length + 8]) : length, true);
  rest[7] = random.oneIn(12) ? random.pick([0x01, 0x10, 0x40]) : 0;
  draft.pointers.push([16, { target: DESCRIPTOR_AT }]);
  draft.entries.push([DESCRIPTOR_AT, { target }]);
  draft.input.push([DESCRIPTOR_AT + 8, rest]);
}

/** PRINFO: what the controller is to insert or strip, and to check. */
export function prinfo(draft: Draft, random: Random): number {
  if (draft.medium.protectionType === 0 && !random.oneIn(8)) return 0;
  const checks = random.oneIn(2) ? 0 : random.below(8);
  return checks | (random.oneIn(3) ? PRACT : 0);
}

/** Dwords 12, 14 and 15 of a command for blocks from slba on. */
export function protectionFields(draft: Draft, random: Random, slba: number): void {
  const { protectionType } = draft.medium;
  draft.set(12, draft.get(12) | (prinfo(draft, random) << PRINFO_SHIFT));
  if (protectionType === 0 && !random.oneIn(8)) return;
  draft.set(14, referenceTag(random, slba));
  draft.set(15, random.pick(TAGS) | (random.pick(MASKS) << 16));
}

/** Mostly the one that type 1 asks for. */
export function referenceTag(random: Random, slba: number): number {
  return random.oneIn(8) ? random.pick([0, 0xffffffff, slba + 1, 0xfffffffe]) : slba;
}
