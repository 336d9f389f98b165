/** Both controllers, step by step: what each answers, the memory it leaves, and its state now and then. */
import * as nvme from '@nvme-stack/nvme-protocol';
import { explainRead, metadataApart, WRITE, zeroesProtected } from './block-data.js';
import { type Corner, IO_QUEUES } from './corners.js';
import type { Where } from './difference.js';
import { explain, explainData } from './known-differences.js';
import { Medium } from './medium.js';
import { IMPATIENT_NS, type Outcome, PATIENT_NS, QUEUE_ENTRIES, type RawHost } from './raw-host.js';
import { sentData } from './sent-data.js';
import { DATA_PAGES, dword, fillArena, LIST_PAGE, opcodeOf, PAGE, pageWords, prepare, type Step } from './step.js';
import { Stream } from './stream.js';

/** Steps between two fresh starts of both. */
const EPOCH_STEPS = 400;
const BLOCKS_PER_TRANSFER = 128;
/** Features that the stream changes, with their defaults: thresholds, write cache, events. */
const DEFAULTS: readonly (readonly [fid: number, value: number])[] = [
  // First, so that no threshold on its way back is an event.
  [0xb, 0],
  [4, 0x100000],
  [4, 0x157],
  [5, 0],
  [6, 1],
];

/** A step whose outcome was not the same. */
export interface Difference {
  /** Position in the stream, from 0. */
  readonly index: number;
  /** Position of the first command since both were started afresh: what the difference may hang on. */
  readonly epochStart: number;
  readonly step: Step;
  readonly ours: string;
  readonly theirs: string;
}

export interface Report {
  readonly commands: number;
  readonly epochs: number;
  /** By name of the command, how many were sent, and how many succeeded. */
  readonly sent: ReadonlyMap<string, { sent: number; succeeded: number }>;
  readonly known: ReadonlyMap<string, number>;
  /** Unexplained ones; the first `limit` of them. */
  readonly unexplained: readonly Difference[];
}

export interface RunOptions {
  readonly commands: number;
  readonly seed: number;
  /** Commands of the stream to leave out first; both start afresh at the next one. Default 0. */
  readonly from?: number;
  /** Ends after so many unexplained differences. */
  readonly limit?: number;
  readonly onProgress?: (commands: number) => void;
}

/** Sends one stream to both corners and compares. */
export async function lockstep(ours: Corner, theirs: Corner, options: RunOptions): Promise<Report> {
  const run = new Run([ours, theirs], options);
  await run.all();
  return run;
}

interface Answer {
  readonly outcome: Outcome;
  readonly pages: readonly Uint32Array[];
}

class Run implements Report {
  commands = 0;
  epochs = 0;
  readonly sent = new Map<string, { sent: number; succeeded: number }>();
  readonly known = new Map<string, number>();
  readonly unexplained: Difference[] = [];
  private readonly corners: readonly [Corner, Corner];
  private readonly options: RunOptions;
  private readonly stream: Stream;
  /** The format that both have: a Format NVM of the stream may be refused. */
  private medium = new Medium();
  private readonly from: number;
  private epochStart: number;

  constructor(corners: readonly [Corner, Corner], options: RunOptions) {
    this.corners = corners;
    this.options = options;
    this.stream = new Stream(options.seed);
    this.from = options.from ?? 0;
    this.epochStart = this.from;
    for (let left = this.from; left > 0; left--) this.stream.next();
  }

  private get isOver(): boolean {
    return this.commands >= this.options.commands || this.unexplained.length >= (this.options.limit ?? 20);
  }

  async all(): Promise<void> {
    while (!this.isOver) {
      for (const corner of this.corners) await corner.run(() => startEpoch(corner, this.stream.medium));
      this.medium = new Medium();
      this.medium.take(this.stream.medium.format);
      this.epochStart = this.from + this.commands;
      await this.epoch();
      this.epochs++;
      this.options.onProgress?.(this.commands);
    }
  }

  private async epoch(): Promise<void> {
    for (let left = EPOCH_STEPS; left > 0 && !this.isOver; left--) {
      const step = this.stream.next();
      this.commands++;
      const [ours, theirs] = [await this.send(0, step), await this.send(1, step)];
      this.count(step, theirs.outcome);
      if (step.queue === 0 && opcodeOf(step) === FORMAT_NVM && isDone(ours) && isDone(theirs)) {
        this.medium.take(dword(step, 10));
      }
      const apart = metadataApart(step, this.medium, theirs.outcome);
      if (apart !== null) {
        this.meet(apart);
        if (opcodeOf(step) === WRITE) return;
        await this.refill();
        continue;
      }
      const same = this.compare(step, ours, theirs);
      if (touchesOurQueues(step, theirs.outcome) || (!same && mayHaveParted(step, ours.outcome, theirs.outcome)))
        return;
      if (!same) await this.refill();
      if (zeroesProtected(step, this.medium, theirs.outcome) && !(await this.writeAgain(step))) return;
    }
    await this.compareState();
  }

  /** Writes the blocks that a Write Zeroes left with other metadata; false: that was not to be done. */
  private async writeAgain({ queue, sqe }: Step): Promise<boolean> {
    const view = new DataView(sqe.buffer, sqe.byteOffset, 64);
    const [low, high, last] = [view.getUint32(40, true), view.getUint32(44, true), view.getUint16(48, true)];
    if (last >= BLOCKS_PER_TRANSFER) return false;
    this.meet(ZEROES_PROTECTED);
    const write: Step = {
      ...stateStep('Write again'),
      queue,
      sqe: command(1, { 1: 1, 10: low, 11: high, 12: last | PRACT, 14: low }),
      pointers: [
        [16, { target: 0 }],
        [24, { target: 0 }],
        [32, { target: LIST_PAGE * PAGE }],
      ],
      list: 1,
    };
    const [ours, theirs] = [await this.send(0, write), await this.send(1, write)];
    return ours.outcome.status === 0 && theirs.outcome.status === 0;
  }

  private async send(index: 0 | 1, step: Step): Promise<Answer> {
    const { host, run } = this.corners[index];
    return run(async () => {
      const isHostile = step.changed.some((field) => POINTERS.has(field));
      const patienceNs = isHostile ? IMPATIENT_NS : PATIENT_NS;
      const outcome = await host.exec(step.queue, prepare(host, step), step.mayPend, patienceNs);
      return { outcome, pages: step.pages.map((page) => pageWords(host, page)) };
    });
  }

  private count(step: Step, outcome: Outcome): void {
    const counts = this.sent.get(step.name) ?? { sent: 0, succeeded: 0 };
    counts.sent++;
    if (outcome.kind === 'completed' && outcome.status === 0) counts.succeeded++;
    this.sent.set(step.name, counts);
  }

  /** Gives both arenas the same bytes again: a command may have written more of them than was compared. */
  private async refill(): Promise<void> {
    for (const { host, run } of this.corners) await run(async () => fillArena(host));
  }

  private compare(step: Step, ours: Answer, theirs: Answer): boolean {
    const [left, right] = [outcomeText(ours.outcome), outcomeText(theirs.outcome)];
    const at = left === right ? firstDifference(ours.pages, theirs.pages) : null;
    if (left === right && at === null) return true;
    const text = (answer: Answer, outcome: string): string => {
      if (at === null) return outcome;
      const word = (answer.pages[at.page] as Uint32Array)[at.word] as number;
      return `${outcome}, byte ${at.page * PAGE + at.word * 4} is ${word.toString(16)}`;
    };
    const known = at === null ? explain(step, left, right, this.where()) : this.explainPages(step, ours, theirs);
    this.differ(step, text(ours, left), text(theirs, right), known);
    return false;
  }

  private where(): Where {
    return { memory: this.corners[0].host.arena.bytes, medium: this.medium };
  }

  /** The answers are the same, and what they left in memory is not. */
  private explainPages(step: Step, ours: Answer, theirs: Answer): readonly string[] {
    const read = isDone(ours) ? explainRead(step, this.medium, ours.pages, theirs.pages) : null;
    if (read !== null) return [read];
    const data = sentData(step, { ours: ours.pages, theirs: theirs.pages });
    return data === null || !isDone(ours) ? [] : explainData(step, data, this.corners[0].host.failures);
  }

  /** Counts a difference under the entries that explain it; without one it is kept. */
  private differ(step: Step, ours: string, theirs: string, known: readonly string[]): void {
    for (const id of known) this.meet(id);
    if (known.length > 0) return;
    const index = this.from + this.commands - 1;
    this.unexplained.push({ index, epochStart: this.epochStart, step, ours, theirs });
  }

  private meet(id: string): void {
    this.known.set(id, (this.known.get(id) ?? 0) + 1);
  }

  /** The media, the features, and every byte of the arena that commands may have written. */
  private async compareState(): Promise<void> {
    const [ours, theirs] = [await this.state(0), await this.state(1)];
    for (const [name, value] of ours) {
      if (value === theirs.get(name)) continue;
      const [step, other] = [stateStep(name), theirs.get(name) as string];
      this.differ(step, value, other, explain(step, value, other, this.where()));
      return;
    }
  }

  private state(index: 0 | 1): Promise<Map<string, string>> {
    const { host, run } = this.corners[index];
    return run(async () => {
      const found = new Map<string, string>();
      for (let page = 0; page < DATA_PAGES; page++) found.set(`page ${page}`, sum(pageWords(host, page)));
      for (const fid of [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 0x16, 0x19]) {
        const outcome = await host.exec(
          0,
          command(10, { 1: fid === 5 ? 1 : 0, 10: fid }, [24, host.arena.busAddr]),
          false,
        );
        found.set(`feature ${fid}`, outcomeText({ ...outcome, sqHead: 0 }));
      }
      found.set('CSTS', host.registers.readl(nvme.NVME_REG_CSTS).toString(16));
      return found;
    });
  }
}

function outcomeText({ kind, status, dw0, sqHead, sqId, events }: Outcome): string {
  const other = events.length === 0 ? '' : `, ${events.join(', ')}`;
  if (kind === 'pending') return `pending${other}`;
  const code = `${(status >>> 8) & 7}/${(status & 0xff).toString(16).padStart(2, '0')}`;
  const flags = `${(status & 0x4000) === 0 ? '' : ' DNR'}${(status & 0x2000) === 0 ? '' : ' M'}`;
  return `${code}${flags} dw0 ${dw0.toString(16)} sq ${sqId} head ${sqHead}${other}`;
}

function firstDifference(
  left: readonly Uint32Array[],
  right: readonly Uint32Array[],
): { page: number; word: number } | null {
  for (let page = 0; page < left.length; page++) {
    const [a, b] = [left[page] as Uint32Array, right[page] as Uint32Array];
    for (let word = 0; word < a.length; word++) if (a[word] !== b[word]) return { page, word };
  }
  return null;
}

function sum(words: Uint32Array): string {
  let hash = 0;
  for (const word of words) hash = Math.imul(hash ^ word, 0x01000193);
  return (hash >>> 0).toString(16);
}

const stateStep = (name: string): Step => ({
  name: `state: ${name}`,
  changed: [],
  queue: 0,
  sqe: new Uint8Array(64),
  pointers: [],
  list: -1,
  entries: [],
  input: [],
  mayPend: false,
  pages: [],
});

/** After a difference: whether the controllers' own state may be another now, not only the host's memory. */
function mayHaveParted(step: Step, ours: Outcome, theirs: Outcome): boolean {
  if (ours.kind === 'pending' || theirs.kind === 'pending') return true;
  if (ours.status !== 0 && theirs.status !== 0 && (step.queue === 0 || !MAY_BE_DONE_IN_PART.has(opcodeOf(step))))
    return false;
  return !HARMLESS[step.queue === 0 ? 'admin' : 'io'].has(opcodeOf(step));
}

const isDone = ({ outcome }: Answer): boolean => outcome.kind === 'completed' && outcome.status === 0;
const FORMAT_NVM = 0x80;
/** Fields that say where memory is: the data pointer, and the metadata pointer. */
const POINTERS: ReadonlySet<string> = new Set(['PRP1', 'PRP2', 'PRP list', 'dword 4', 'dword 5']);
const PRACT = 1 << 29;
/** The entry of the table. */
const ZEROES_PROTECTED = 'zeroes-protected';
const HOST_BEHAVIOR = 0x16;
/** Commands of which something may have been done when they fail: Write, Copy. */
const MAY_BE_DONE_IN_PART: ReadonlySet<number> = new Set([1, 0x19]);
/** Commands that change nothing but the host's memory: Get Log Page, Identify, Get Features; Flush, Read, Compare, Verify. */
const HARMLESS: Readonly<Record<'admin' | 'io', ReadonlySet<number>>> = {
  admin: new Set([2, 6, 10]),
  io: new Set([0, 2, 5, 0xc]),
};

/** A queue of the host's own is gone: it cannot be used until it is made again. */
function touchesOurQueues(step: Step, outcome: Outcome): boolean {
  const opcode = opcodeOf(step);
  if (step.queue !== 0 || outcome.status !== 0 || (opcode !== 0 && opcode !== 4)) return false;
  const queue = dword(step, 10) & 0xffff;
  return queue >= 1 && queue <= IO_QUEUES;
}

/** A command of the host's own. */
function command(
  opcode: number,
  dwords: Readonly<Record<number, number>>,
  address?: readonly [at: number, to: number],
): Uint8Array {
  const sqe = new Uint8Array(64);
  const view = new DataView(sqe.buffer);
  sqe[0] = opcode;
  for (const [index, value] of Object.entries(dwords)) view.setUint32(4 * Number(index), value >>> 0, true);
  if (address !== undefined) {
    view.setUint32(address[0], address[1] % 2 ** 32, true);
    view.setUint32(address[0] + 4, Math.floor(address[1] / 2 ** 32), true);
  }
  return sqe;
}

/** Brings a controller into the state every epoch starts from: enabled, two queue pairs, empty media, a known arena. */
async function startEpoch({ host, name }: Corner, { format, blocks }: Medium): Promise<void> {
  await host.restart();
  const must = async (queue: number, sqe: Uint8Array): Promise<void> => {
    const outcome = await host.exec(queue, sqe, false, PATIENT_NS);
    if (outcome.status !== 0 || outcome.kind === 'pending') {
      throw new Error(`${name} refused to start an epoch: opcode ${sqe[0]}: ${outcomeText(outcome)}`);
    }
  };
  await host.exec(0, attachment(host), false);
  await must(0, command(0x80, { 1: 1, 10: format }));
  const size = (QUEUE_ENTRIES - 1) << 16;
  for (let queue = 1; queue <= IO_QUEUES; queue++) {
    await must(0, command(5, { 10: queue | size, 11: 3 }, [24, host.address(queue, 'cq')]));
    await must(0, command(1, { 10: queue | size, 11: 1 | (queue << 16) }, [24, host.address(queue, 'sq')]));
  }
  // QEMU keeps these over a reset.
  for (const [fid, value] of DEFAULTS) await must(0, command(9, { 1: fid === 5 ? 1 : 0, 10: fid, 11: value }));
  await must(0, command(9, { 10: HOST_BEHAVIOR }, [24, zeroPage(host)]));
  fillArena(host);
  for (let slba = 0; slba < blocks; slba += BLOCKS_PER_TRANSFER) {
    await must(1, command(8, { 1: 1, 10: slba, 12: Math.min(BLOCKS_PER_TRANSFER, blocks - slba) - 1 }));
  }
}

/** Address of a page of zeroes. */
function zeroPage({ arena }: RawHost): number {
  arena.bytes.fill(0, 0, PAGE);
  arena.publish(0, PAGE);
  return arena.busAddr;
}

/** Attaches namespace 1, whatever the stream did to it. */
function attachment(host: RawHost): Uint8Array {
  const at = 56 * PAGE;
  host.arena.bytes.fill(0, at, at + PAGE);
  host.arena.view.setUint16(at, 1, true);
  host.arena.publish(at, PAGE);
  return command(0x15, { 1: 1 }, [24, host.arena.busAddr + at]);
}
