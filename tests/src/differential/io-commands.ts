/** Commands of the NVM command set, as a host would send them, most of the time. [NVM] 3.2. */
import { data, sgl } from './data-pointers.js';
import type { Draft, Maker, Weighted } from './draft.js';
import type { Random } from './random.js';
import { INPUT_PAGE, PAGE } from './step.js';

const BLOCK = 512;
const BLOCKS = 2048;

function range(draft: Draft, random: Random): number {
  const blocks = random.oneIn(10) ? 1 + random.below(128) : 1 + random.below(8);
  const slba = random.oneIn(20) ? BLOCKS - random.below(9) : random.below(BLOCKS - blocks);
  draft.set(10, slba);
  draft.set(12, blocks - 1);
  return blocks * BLOCK;
}

const transfer =
  (opcode: number): Maker =>
  (draft, random) => {
    draft.sqe[0] = opcode;
    const length = range(draft, random);
    if (random.oneIn(10)) draft.set(12, draft.get(12) | (random.pick([1, 2, 4, 8, 0x10, 0x20]) << 26));
    if (random.oneIn(6)) sgl(draft, random, length);
    else data(draft, random, length);
  };

const noData =
  (opcode: number, flags: readonly number[]): Maker =>
  (draft, random) => {
    draft.sqe[0] = opcode;
    range(draft, random);
    if (random.oneIn(4)) draft.set(12, draft.get(12) | random.pick(flags));
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
  const one = (view: DataView): void => {
    const blocks = random.below(32);
    view.setUint32(4, random.oneIn(20) ? random.next() : blocks, true);
    view.setUint32(8, random.oneIn(20) ? BLOCKS - random.below(8) : random.below(BLOCKS - 32), true);
  };
  ranges(draft, random, count, one, 16);
};

const copy: Maker = (draft, random) => {
  draft.sqe[0] = 0x19;
  const count = random.oneIn(10) ? 1 + random.below(128) : 1 + random.below(4);
  draft.set(10, random.below(BLOCKS - 64));
  draft.set(12, (count - 1) | (random.oneIn(10) ? random.below(16) << 8 : 0));
  const one = (view: DataView): void => {
    view.setUint32(8, random.oneIn(20) ? BLOCKS - random.below(8) : random.below(BLOCKS - 32), true);
    view.setUint16(16, random.oneIn(20) ? random.next() & 0xffff : random.below(8), true);
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
