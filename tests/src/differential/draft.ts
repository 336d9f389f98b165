/** A step while it is made, and the values that its fields are given. */
import { Medium } from './medium.js';
import type { Random } from './random.js';
import type { Pointer } from './step.js';

/** Widest value of interest in a field. */
const EDGES = [
  0, 1, 2, 3, 7, 8, 0xff, 0x100, 0x7ff, 0x800, 0xfff, 0x1000, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
  0xfffffffe, 0xffffffff,
];
/** Namespace identifiers that are not namespace 1's. */
export const NSIDS = [0, 2, 255, 256, 257, 0xfffffffe, 0xffffffff];

/** A step while it is made. */
export class Draft {
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
  /** The format that the command is made for. */
  readonly medium: Medium;

  constructor(medium: Medium = new Medium()) {
    this.medium = medium;
  }

  set(index: number, value: number): void {
    this.view.setUint32(4 * index, value >>> 0, true);
  }

  get(index: number): number {
    return this.view.getUint32(4 * index, true);
  }
}

/** Fills a draft. */
export type Maker = (draft: Draft, random: Random) => void;

/** A command's maker, its name, and how often it is taken. */
export type Weighted = readonly [weight: number, name: string, make: Maker];

/** Any 32 bits, the edges of fields and single bits more often than others. */
export const value = (random: Random): number => {
  if (random.oneIn(3)) return random.next();
  return random.oneIn(2) ? 2 ** random.below(32) : random.pick(EDGES);
};
