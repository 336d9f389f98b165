/** The data pointers of commands: PRPs and SGLs into the arena. */
import type { Draft } from './draft.js';
import type { Random } from './random.js';
import { DATA_PAGES, INPUT_PAGE, LIST_PAGE, PAGE } from './step.js';

/** PRP1 and PRP2 for a transfer: PRP2 is the second page, or a full list of data pages. */
export function data(draft: Draft, random: Random, lengthBytes: number, at = 24): void {
  const page = random.below(DATA_PAGES);
  const offset = random.oneIn(4) ? 4 * random.below(PAGE / 4) : 0;
  draft.pointers.push([at, { target: page * PAGE + offset }]);
  const inFirst = PAGE - offset;
  const isDirect = lengthBytes > inFirst && lengthBytes <= inFirst + PAGE;
  if (isDirect) draft.pointers.push([at + 8, { target: ((page + 1) % DATA_PAGES) * PAGE }]);
  else draft.pointers.push([at + 8, { target: LIST_PAGE * PAGE }]);
  if (!isDirect) draft.list = (page + 1) % DATA_PAGES;
  const pages = Math.min(Math.ceil((offset + lengthBytes) / PAGE) + 1, DATA_PAGES);
  for (let i = 0; i < pages; i++) draft.pages.push((page + i) % DATA_PAGES);
}

/** An SGL of one, two or more descriptors, some of them wrong. [NVMe] 4.1.2. */
export function sgl(draft: Draft, random: Random, lengthBytes: number): void {
  draft.sqe[1] = random.oneIn(2) ? 0x40 : 0x80;
  const descriptor = (length: number, type: number): Uint8Array => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setUint32(0, length >>> 0, true);
    bytes[7] = type;
    return bytes;
  };
  const bend = (length: number): number =>
    random.oneIn(8) ? random.pick([0, 1, 4, length + 512, length - 1]) : length;
  const bendType = (type: number): number =>
    random.oneIn(10) ? random.pick([0x10, 0x20, 0x30, 0x40, 0x50, 0x01, 0xf0]) : type;
  for (let i = 0; i < DATA_PAGES; i++) draft.pages.push(i);
  const parts = 2 + random.below(3);
  // Pages from one part's beginning to the next's: no byte is in two parts.
  const stride = Math.ceil(lengthBytes / parts / PAGE) + 1;
  const isApart = parts * stride <= DATA_PAGES;
  const page = random.below(isApart ? DATA_PAGES - parts * stride + 1 : 1);
  if (random.oneIn(2) || !isApart) {
    draft.pointers.push([24, { target: page * PAGE + (random.oneIn(3) ? random.below(PAGE) : 0) }]);
    draft.sqe.set(descriptor(bend(lengthBytes), bendType(0)), 32);
    return;
  }
  draft.pointers.push([24, { target: INPUT_PAGE * PAGE }]);
  draft.sqe.set(descriptor(bend(16 * parts), bendType(0x30)), 32);
  for (let i = 0; i < parts; i++) {
    const length =
      i + 1 < parts
        ? Math.floor(lengthBytes / parts / 4) * 4
        : lengthBytes - (parts - 1) * Math.floor(lengthBytes / parts / 4) * 4;
    draft.entries.push([INPUT_PAGE * PAGE + 16 * i, { target: (page + i * stride) * PAGE }]);
    draft.input.push([INPUT_PAGE * PAGE + 16 * i + 8, descriptor(bend(length), bendType(0))]);
  }
}
