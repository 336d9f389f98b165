/** Makes fields of a command hostile: values, fuse bits, pointers, list entries. */
import { type Draft, NSIDS, value } from './draft.js';
import type { Random } from './random.js';
import { DATA_PAGES, LIST_PAGE, NOWHERE, PAGE, type Pointer } from './step.js';

/** Makes one to three fields hostile. */
export function change(draft: Draft, random: Random): void {
  for (let left = 1 + random.below(3); left > 0; left--) {
    const field = random.below(16);
    if (field === 0) changeHeader(draft, random);
    else if (field === 1) set(draft, 1, random.oneIn(2) ? random.pick(NSIDS) : value(random));
    else if (field < 6) changeReserved(draft, field, random);
    else if (field < 10) changePointer(draft, random);
    else changeArgument(draft, field, random);
  }
}

function set(draft: Draft, index: number, to: number): void {
  draft.set(index, to);
  draft.changed.push(`dword ${index}`);
}

/** Dwords 2 to 5; the last two are the metadata pointer. */
function changeReserved(draft: Draft, field: number, random: Random): void {
  const pointer = draft.pointers.findIndex(([at]) => at === 16);
  if (field > 3 && pointer >= 0) draft.pointers.splice(pointer, 1);
  set(draft, field, value(random));
}

function changeHeader(draft: Draft, random: Random): void {
  const what = random.below(3);
  if (what === 0) {
    draft.sqe[0] = random.below(256);
    draft.changed.push('opcode');
  } else if (what === 1) {
    draft.sqe[1] = ((draft.sqe[1] as number) & 0xc0) | random.below(64);
    draft.changed.push('fuse');
  } else {
    // An SGL stays one and PRPs stay PRPs: each read as the other would name memory of nobody's.
    const isSgl = (draft.sqe[1] as number) >> 6 !== 0;
    draft.sqe[1] = ((draft.sqe[1] as number) & 0x3f) | (isSgl ? random.pick([0x40, 0x80, 0xc0]) : 0xc0);
    draft.changed.push('PSDT');
  }
}

function changePointer(draft: Draft, random: Random): void {
  const which = random.below(2);
  const at = 24 + 8 * which;
  const index = draft.pointers.findIndex(([offset]) => offset === at);
  if (index < 0) return;
  const [, pointer] = draft.pointers[index] as [number, Pointer];
  const kind = random.below(12);
  draft.changed.push(which === 0 ? 'PRP1' : 'PRP2');
  if (kind === 0) draft.pointers[index] = [at, { target: NOWHERE + random.below(4) * PAGE, isAbsolute: true }];
  else if (kind === 1 && which === 1) hostileEntry(draft, random);
  else
    draft.pointers[index] = [at, { ...pointer, target: pointer.target + random.pick([1, 2, 3, 4, 8, 12, 2048, 4092]) }];
}

function hostileEntry(draft: Draft, random: Random): void {
  if (draft.list < 0) return;
  const index = random.below(4);
  const target = ((draft.list + index) % DATA_PAGES) * PAGE;
  const bad = [{ target: target + 4 }, { target: target + 1 }, { target: NOWHERE, isAbsolute: true }];
  draft.entries.push([LIST_PAGE * PAGE + 8 * index, random.pick(bad)]);
  draft.changed.push('PRP list');
}

function changeArgument(draft: Draft, field: number, random: Random): void {
  const before = draft.get(field);
  const to = random.oneIn(2) ? value(random) : (before ^ (2 ** random.below(32))) >>> 0;
  set(draft, field, to);
}
