/** Commands of the NVM command set, as a host would send them, most of the time. [NVM] 3.2. */
import { data, sgl } from './data-pointers.js';
import type { Draft, Maker, Weighted } from './draft.js';
import { metadataPointer, prinfo, protectionFields, referenceTag } from './protection-fields.js';
import type { Random } from './random.js';
import { DATA_PAGES, INPUT_PAGE, PAGE } from './step.js';

const READ = 2;
const COMPARE = 5;
const PRACT = 1 << 29;
const PROTECTION_BYTES = 8;
const DATA_BYTES = DATA_PAGES * PAGE;

/** Dwords 10 to 12; how many blocks it is. */
function range(draft: Draft, random: Random): number {
  const { medium } = draft;
  // No more than the pages of data hold, so that no byte of memory is moved twice.
  const most = Math.min(128, Math.floor((DATA_BYTES - PAGE) / (medium.blockSize + medium.metadataBytes)));
  const blocks = medium.wholeMetadata(random.oneIn(10) ? 1 + random.below(most) : 1 + random.below(8));
  const slba = random.oneIn(20) ? medium.blocks - random.below(9) : random.below(medium.blocks - blocks);
  draft.set(10, slba);
  draft.set(12, blocks - 1);
  return blocks;
}

const transfer =
  (opcode: number): Maker =>
  (draft, random) => {
    draft.sqe[0] = opcode;
    if (opcode !== READ && random.oneIn(4) && repeatRead(draft, random)) return;
    const blocks = range(draft, random);
    if (random.oneIn(10)) draft.set(12, draft.get(12) | (random.pick([1, 2, 4, 8, 0x10, 0x20]) << 26));
    protectionFields(draft, random, draft.get(10));
    const { blockSize, metadataBytes, isExtended, protectionType } = draft.medium;
    const isStripped = protectionType !== 0 && metadataBytes === PROTECTION_BYTES && (draft.get(12) & PRACT) !== 0;
    const length = blocks * (blockSize + (isExtended && !isStripped ? metadataBytes : 0));
    if (random.oneIn(6)) sgl(draft, random, length);
    else data(draft, random, length);
    metadataPointer(draft, random, blocks);
  };

/** The blocks of the last Read, from where it put them: what it read is likely to be there. False: there was none. */
function repeatRead(draft: Draft, random: Random): boolean {
  const { lastRead } = draft.medium;
  if (lastRead === null) return false;
  const { sqe, pointers, entries, input, pages, list } = lastRead;
  const opcode = draft.sqe[0] as number;
  draft.sqe.set(sqe);
  draft.sqe[0] = opcode;
  draft.list = list;
  draft.pointers.push(...pointers);
  draft.entries.push(...entries);
  draft.input.push(...input);
  draft.pages.push(...pages);
  if (opcode === COMPARE) draft.set(12, draft.get(12) & ~PRACT);
  else if (random.oneIn(2)) protectionFields(draft, random, draft.get(10));
  return true;
}

const noData =
  (opcode: number, flags: readonly number[]): Maker =>
  (draft, random) => {
    draft.sqe[0] = opcode;
    range(draft, random);
    if (random.oneIn(4)) draft.set(12, draft.get(12) | random.pick(flags));
    protectionFields(draft, random, draft.get(10));
  };

/** Data for a controller: ranges of 16 or 32 bytes each, at a page of input. */
function ranges(draft: Draft, random: Random, count: number, one: (view: DataView) => void, bytesEach: number): void {
  for (let i = 0; i < count; i++) {
    const bytes = new Uint8Array(bytesEach);
    one(new DataView(bytes.buffer));
    draft.input.push([INPUT_PAGE * PAGE + bytesEach * i, bytes]);
  }
  draft.pointers.push([24, { target: INPUT_PAGE * PAGE }], [32, { target: (INPUT_PAGE + 1) * PAGE }]);
  void random;
}

const dsm: Maker = (draft, random) => {
  draft.sqe[0] = 9;
  const count = random.oneIn(8) ? 1 + random.below(256) : 1 + random.below(4);
  draft.set(10, count - 1);
  draft.set(11, random.oneIn(5) ? random.below(8) : 4);
  const end = draft.medium.blocks;
  const one = (view: DataView): void => {
    const blocks = random.below(32);
    view.setUint32(4, random.oneIn(20) ? random.next() : blocks, true);
    view.setUint32(8, random.oneIn(20) ? end - random.below(8) : random.below(end - 32), true);
  };
  ranges(draft, random, count, one, 16);
};

const copy: Maker = (draft, random) => {
  draft.sqe[0] = 0x19;
  const count = random.oneIn(10) ? 1 + random.below(128) : 1 + random.below(4);
  const { blocks: end, protectionType } = draft.medium;
  const target = random.below(end - 64);
  draft.set(10, target);
  // Of both PRINFO fields, PRACT is mostly the same.
  const write = prinfo(draft, random);
  const read = random.oneIn(8) ? prinfo(draft, random) : (prinfo(draft, random) & 7) | (write & 8);
  const format = random.oneIn(10) ? random.below(16) : 0;
  draft.set(12, (count - 1) | (format << 8) | (read << 12) | (write << 26));
  if (protectionType !== 0) draft.set(14, referenceTag(random, target));
  const one = (view: DataView): void => {
    const slba = random.oneIn(20) ? end - random.below(8) : random.below(end - 32);
    view.setUint32(8, slba, true);
    view.setUint16(16, random.oneIn(20) ? random.next() & 0xffff : random.below(8), true);
    if (protectionType !== 0) view.setUint32(24, referenceTag(random, slba), true);
  };
  ranges(draft, random, count, one, 32);
};

const plain =
  (opcode: number): Maker =>
  (draft) => {
    draft.sqe[0] = opcode;
  };

const anyIo: Maker = (draft, random) => {
  draft.sqe[0] = random.below(256);
  range(draft, random);
  data(draft, random, PAGE);
};

/** What is sent to I/O queues. */
export const IO_COMMANDS: readonly Weighted[] = [
  [20, 'Write', transfer(1)],
  [20, 'Read', transfer(2)],
  [8, 'Compare', transfer(5)],
  [6, 'Write Zeroes', noData(8, [1 << 25, 1 << 26, 1 << 30, 1 << 31])],
  [4, 'Verify', noData(0xc, [1 << 26, 1 << 30, 1 << 31])],
  [6, 'Dataset Management', dsm],
  [6, 'Copy', copy],
  [4, 'Flush', plain(0)],
  [2, 'Write Uncorrectable', noData(4, [1])],
  [4, 'any I/O opcode', anyIo],
];
