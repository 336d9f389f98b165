/** Commands of the admin command set, as a host would send them, most of the time. [NVMe] 5. */
import { data } from './data-pointers.js';
import { type Maker, NSIDS, value, type Weighted } from './draft.js';
import type { Random } from './random.js';
import { INPUT_PAGE, PAGE, type Pointer, QUEUE_PAGE } from './step.js';

const FEATURES = [
  1, 2, 3, 4, 4, 5, 5, 5, 6, 6, 7, 8, 9, 0xa, 0xb, 0xb, 0xc, 0xd, 0xe, 0xf, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16,
  0x17, 0x18, 0x19, 0x1a, 0x1b, 0x78, 0x80, 0x81, 0x82, 0x83, 0x84, 0xc0,
];
const LOGS = [0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf, 0x70, 0x80, 0x81, 0xc0];

const identify: Maker = (draft, random) => {
  draft.sqe[0] = 6;
  draft.set(10, random.below(0x20) | (random.oneIn(10) ? random.pick([1, 0xffff]) << 16 : 0));
  draft.set(11, random.oneIn(4) ? random.pick([1, 2, 3, 0xff]) << 24 : 0);
  if (random.oneIn(3)) draft.set(1, random.pick(NSIDS));
  data(draft, random, PAGE);
};

const getLog: Maker = (draft, random) => {
  draft.sqe[0] = 2;
  const dwords = random.oneIn(6) ? 1 + random.below(3 * 1024) : 1 + random.below(1024);
  draft.set(10, random.pick(LOGS) | (random.oneIn(4) ? random.below(256) << 8 : 0) | ((dwords - 1) << 16));
  draft.set(11, random.oneIn(30) ? 1 : 0);
  draft.set(12, random.oneIn(3) ? random.pick([4, 8, 16, 64, 512, 513, 514, 4096, 5000]) : 0);
  if (random.oneIn(2)) draft.set(1, random.pick(NSIDS));
  data(draft, random, 4 * dwords);
};

const feature =
  (opcode: number): Maker =>
  (draft, random) => {
    draft.sqe[0] = opcode;
    const fid = random.oneIn(12) ? random.below(256) : random.pick(FEATURES);
    const select = opcode === 10 ? random.below(random.oneIn(4) ? 8 : 4) << 8 : 0;
    draft.set(10, fid | select | (opcode === 9 && random.oneIn(12) ? 0x80000000 : 0));
    draft.set(
      11,
      random.oneIn(2)
        ? random.pick([0, 1, 2, 0x10000, 0x140, 0x150, 0x157, 0x10140, 0x100157, 0x3ff, 0x100, 0x10001])
        : value(random),
    );
    if (random.oneIn(3)) draft.set(1, random.pick(NSIDS));
    else if (random.oneIn(2)) draft.set(1, 0);
    data(draft, random, PAGE);
    if (opcode === 9) draft.input.push([(draft.pointers[0] as [number, Pointer])[1].target, someBytes(random)]);
  };

/** What a feature is set to, where it takes data; the arena's other bytes stay. */
function someBytes(random: Random): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, random.oneIn(2) ? random.below(4) : random.next(), true);
  view.setUint32(4, random.below(0x1000), true);
  return bytes;
}

const queueId = (random: Random): number =>
  random.oneIn(10) ? random.pick([0, 1, 2, 64, 65, 66, 0xffff]) : 3 + random.below(6);
const queueSize = (random: Random): number =>
  random.oneIn(6) ? random.pick([0, 1, 0x7fe, 0x7ff, 0x800, 0xffff]) : 1 + random.below(62);

const createCq: Maker = (draft, random) => {
  draft.sqe[0] = 5;
  draft.set(1, 0);
  draft.set(10, queueId(random) | (queueSize(random) << 16));
  const vector = random.oneIn(4) ? random.pick([1, 63, 64, 65, 66, 0xffff]) : random.below(5);
  draft.set(11, (random.oneIn(12) ? random.below(4) : 3) | (vector << 16));
  draft.pointers.push([24, { target: (QUEUE_PAGE + random.below(8)) * PAGE }]);
};

const createSq: Maker = (draft, random) => {
  draft.sqe[0] = 1;
  draft.set(1, 0);
  const id = queueId(random);
  draft.set(10, id | (queueSize(random) << 16));
  const cqid = random.oneIn(4) ? queueId(random) : id;
  draft.set(11, (random.oneIn(12) ? random.below(8) : 1) | (cqid << 16));
  draft.pointers.push([24, { target: (QUEUE_PAGE + random.below(8)) * PAGE }]);
};

const deleteQueue =
  (opcode: number): Maker =>
  (draft, random) => {
    draft.sqe[0] = opcode;
    draft.set(1, 0);
    draft.set(10, queueId(random));
  };

const abort: Maker = (draft, random) => {
  draft.sqe[0] = 8;
  draft.set(10, random.below(3) | (random.below(64) << 16));
};

const attach: Maker = (draft, random) => {
  draft.sqe[0] = 0x15;
  draft.set(10, random.pick([0, 1, 2, 3, 15]));
  const bytes = new Uint8Array(PAGE);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, random.oneIn(4) ? random.pick([0, 2, 2047, 0xffff]) : 1, true);
  view.setUint16(2, random.oneIn(4) ? random.pick([1, 0xffff]) : 0, true);
  draft.input.push([INPUT_PAGE * PAGE, bytes]);
  draft.pointers.push([24, { target: INPUT_PAGE * PAGE }], [32, { target: (INPUT_PAGE + 1) * PAGE }]);
};

const format: Maker = (draft, random) => {
  draft.sqe[0] = 0x80;
  // A listed format, extended or not, with protection where it has metadata, or any bits.
  const index = random.below(8);
  const type = index % 4 === 0 || random.oneIn(3) ? 0 : 1 + random.below(3);
  const listed = index | (random.below(2) << 4) | (type << 5) | (random.below(2) << 8) | (random.below(3) << 9);
  const kind = random.below(6);
  draft.set(10, kind === 0 ? 0 : kind === 1 ? random.next() & 0x3fff : listed);
};

const anyAdmin: Maker = (draft, random) => {
  draft.sqe[0] = random.below(256);
  draft.set(10, value(random) & 0xffff);
  data(draft, random, PAGE);
};

/** What is sent to the admin queue. */
export const ADMIN_COMMANDS: readonly Weighted[] = [
  [12, 'Identify', identify],
  [12, 'Get Log Page', getLog],
  [12, 'Get Features', feature(10)],
  [12, 'Set Features', feature(9)],
  [8, 'Create I/O Completion Queue', createCq],
  [8, 'Create I/O Submission Queue', createSq],
  [5, 'Delete I/O Submission Queue', deleteQueue(0)],
  [5, 'Delete I/O Completion Queue', deleteQueue(4)],
  [3, 'Abort', abort],
  [
    2,
    'Asynchronous Event Request',
    (draft) => {
      draft.sqe[0] = 0xc;
    },
  ],
  [2, 'Namespace Attachment', attach],
  [2, 'Format NVM', format],
  [5, 'any admin opcode', anyAdmin],
];
