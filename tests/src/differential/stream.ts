/** The stream: commands of both sets, valid and hostile, from a seed. Doorbell Buffer Config stays out: it would move the doorbells. */
import { Random } from './random.js';
import { DATA_PAGES, INPUT_PAGE, LIST_PAGE, NOWHERE, PAGE, type Pointer, QUEUE_PAGE, type Step } from './step.js';

const DBBUF = 0x7c;
const BLOCK = 512;
const BLOCKS = 2048;
/** Widest value of interest in a field. */
const EDGES = [
  0, 1, 2, 3, 7, 8, 0xff, 0x100, 0x7ff, 0x800, 0xfff, 0x1000, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
  0xfffffffe, 0xffffffff,
];
const NSIDS = [0, 2, 255, 256, 257, 0xfffffffe, 0xffffffff];
const FEATURES = [
  1, 2, 3, 4, 4, 5, 6, 6, 7, 8, 9, 0xa, 0xb, 0xb, 0xc, 0xd, 0xe, 0xf, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
  0x18, 0x19, 0x1a, 0x1b, 0x78, 0x80, 0x81, 0x82, 0x83, 0x84, 0xc0,
];
const LOGS = [0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf, 0x70, 0x80, 0x81, 0xc0];

/** A step while it is made. */
class Draft {
  name = '';
  queue = 0;
  mayPend = false;
  list = -1;
  readonly sqe = new Uint8Array(64);
  readonly view = new DataView(this.sqe.buffer);
  readonly changed: string[] = [];
  readonly pointers: [number, Pointer][] = [];
  readonly entries: [number, Pointer][] = [];
  readonly input: [number, Uint8Array][] = [];
  readonly pages: number[] = [];

  set(index: number, value: number): void {
    this.view.setUint32(4 * index, value >>> 0, true);
  }

  get(index: number): number {
    return this.view.getUint32(4 * index, true);
  }
}

type Maker = (draft: Draft, random: Random) => void;

/** Makes the steps of a seed, one after another. */
export class Stream {
  private readonly random: Random;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  next(): Step {
    const { random } = this;
    const draft = new Draft();
    const isIo = random.below(100) < 45;
    const [name, make] = weighted(isIo ? IO : ADMIN, random);
    draft.name = name;
    draft.queue = isIo ? 1 + random.below(2) : 0;
    draft.set(1, random.oneIn(12) ? random.pick(NSIDS) : 1);
    make(draft, random);
    if (random.oneIn(3)) change(draft, random);
    if (draft.queue === 0 && draft.sqe[0] === DBBUF) draft.sqe[0] = 0xc5;
    draft.mayPend ||= draft.queue === 0 && [2, 9, 0xc].includes(draft.sqe[0] as number);
    return draft;
  }
}

function weighted(table: readonly (readonly [number, string, Maker])[], random: Random): readonly [string, Maker] {
  let at = random.below(table.reduce((sum, [weight]) => sum + weight, 0));
  for (const [weight, name, make] of table) {
    at -= weight;
    if (at < 0) return [name, make];
  }
  throw new Error('the table is empty');
}

const value = (random: Random): number => {
  if (random.oneIn(3)) return random.next();
  return random.oneIn(2) ? 2 ** random.below(32) : random.pick(EDGES);
};

/** Makes one to three fields hostile. */
function change(draft: Draft, random: Random): void {
  for (let left = 1 + random.below(3); left > 0; left--) {
    const field = random.below(16);
    if (field === 0) changeHeader(draft, random);
    else if (field === 1) set(draft, 1, random.oneIn(2) ? random.pick(NSIDS) : value(random));
    else if (field < 6) set(draft, field, value(random));
    else if (field < 10) changePointer(draft, random);
    else changeArgument(draft, field, random);
  }
}

function set(draft: Draft, index: number, to: number): void {
  draft.set(index, to);
  draft.changed.push(`dword ${index}`);
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
  // What grows a transfer grows it past every limit, so that it cannot read more of a list than there is.
  set(draft, field, to);
}

/** PRP1 and PRP2 for a transfer: PRP2 is the second page, or a full list of data pages. */
function data(draft: Draft, random: Random, lengthBytes: number, at = 24): void {
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
function sgl(draft: Draft, random: Random, lengthBytes: number): void {
  draft.sqe[1] = random.oneIn(2) ? 0x40 : 0x80;
  const page = random.below(DATA_PAGES - 4);
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
  if (random.oneIn(2)) {
    draft.pointers.push([24, { target: page * PAGE + (random.oneIn(3) ? random.below(PAGE) : 0) }]);
    draft.sqe.set(descriptor(bend(lengthBytes), bendType(0)), 32);
    return;
  }
  const parts = 2 + random.below(3);
  draft.pointers.push([24, { target: INPUT_PAGE * PAGE }]);
  draft.sqe.set(descriptor(bend(16 * parts), bendType(0x30)), 32);
  for (let i = 0; i < parts; i++) {
    const length =
      i + 1 < parts
        ? Math.floor(lengthBytes / parts / 4) * 4
        : lengthBytes - (parts - 1) * Math.floor(lengthBytes / parts / 4) * 4;
    draft.entries.push([INPUT_PAGE * PAGE + 16 * i, { target: ((page + i) % DATA_PAGES) * PAGE }]);
    draft.input.push([INPUT_PAGE * PAGE + 16 * i + 8, descriptor(bend(length), bendType(0))]);
  }
}

// ------------------------------------------------------------------------------------------ the NVM command set

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

const IO: readonly (readonly [number, string, Maker])[] = [
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

// ------------------------------------------------------------------------------------------ the admin command set

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
        ? random.pick([0, 1, 2, 0x140, 0x150, 0x157, 0x10140, 0x100157, 0x3ff, 0x100, 0x10001])
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
  draft.set(10, random.oneIn(2) ? 0 : random.next() & 0x3fff);
};

const anyAdmin: Maker = (draft, random) => {
  draft.sqe[0] = random.below(256);
  draft.set(10, value(random) & 0xffff);
  data(draft, random, PAGE);
};

const ADMIN: readonly (readonly [number, string, Maker])[] = [
  [12, 'Identify', identify],
  [12, 'Get Log Page', getLog],
  [12, 'Get Features', feature(10)],
  [12, 'Set Features', feature(9)],
  [8, 'Create I/O Completion Queue', createCq],
  [8, 'Create I/O Submission Queue', createSq],
  [5, 'Delete I/O Submission Queue', deleteQueue(0)],
  [5, 'Delete I/O Completion Queue', deleteQueue(4)],
  [3, 'Abort', abort],
  [2, 'Asynchronous Event Request', plain(0xc)],
  [2, 'Namespace Attachment', attach],
  [1, 'Format NVM', format],
  [5, 'any admin opcode', anyAdmin],
];
