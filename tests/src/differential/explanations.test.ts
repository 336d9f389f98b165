/** The table of known differences explains the bytes that it names, and no others. */
import { describe, expect, it } from 'vitest';
import { explainRead } from './block-data.js';
import { ourCorner } from './corners.js';
import { lockstep, type Report } from './lockstep.js';
import { Medium } from './medium.js';
import type { RawHost } from './raw-host.js';
import { differsOnlyIn, sentData } from './sent-data.js';
import { LIST_PAGE, PAGE, type Step } from './step.js';

const ERRORS = 1;
const SMART = 2;
const CHANGED = 4;
const ABOUT_LOGS = ['smart-counters', 'error-count', 'error-log', 'changed-namespaces'];
const GET_LOG_PAGE = 2;
const WHOLE_PAGE = 4096;
/** For thousands of commands on a busy machine. */
const PATIENT_MS = 60_000;

/** Does something to a log page that a host was sent; `log` is what lies from PRP1 to the end of that page. */
type Bend = (log: Uint8Array) => void;

/** Bends every log page of an id that was read whole from its beginning, without anybody's being told. */
function bendLog(host: RawHost, lid: number, bend: Bend): void {
  const { exec } = host;
  host.exec = async (queue, sqe, ...rest) => {
    const outcome = await exec.call(host, queue, sqe, ...rest);
    const view = new DataView(sqe.buffer, sqe.byteOffset, sqe.length);
    const isLog = queue === 0 && sqe[0] === GET_LOG_PAGE && sqe[40] === lid && view.getUint32(48, true) === 0;
    const isWhole = 4 * (view.getUint16(42, true) + 1) >= 1024;
    const at = view.getUint32(24, true) - host.arena.busAddr;
    const isInOne = PAGE - (at % PAGE) >= 1024;
    if (isLog && isWhole && isInOne && outcome.kind === 'completed' && outcome.status === 0) {
      bend(host.arena.bytes.subarray(at, at + WHOLE_PAGE));
    }
    return outcome;
  };
}

/** Our controller twice, the second one's log pages bent, and the first one's too if that is asked for. */
async function run(lid: number, theirs: Bend, ours: Bend = () => {}): Promise<Report> {
  const [one, other] = [await ourCorner(), await ourCorner()];
  bendLog(one.host, lid, ours);
  bendLog(other.host, lid, theirs);
  const report = await lockstep(one, other, { commands: 3000, seed: 21, limit: 1 });
  for (const corner of [one, other]) await corner.close();
  return report;
}

const set =
  (at: number, value: number): Bend =>
  (log) => {
    log[at] = value;
  };
const zero =
  (start: number, end: number): Bend =>
  (log) =>
    void log.fill(0, start, end);

describe('a log that QEMU fills otherwise', () => {
  it.each([
    ['the counters of the SMART log', SMART, 'smart-counters', set(40, 1)],
    ['the number of errors in the SMART log', SMART, 'error-count', zero(176, 192)],
    ['an error log without an entry', ERRORS, 'error-log', zero(0, 64)],
  ])(
    'is explained: %s',
    async (_what, lid, id, theirs) => {
      const { known, unexplained } = await run(lid, theirs);
      expect(unexplained).toEqual([]);
      expect(ABOUT_LOGS.filter((one) => known.has(one))).toEqual([id]);
      expect(known.get(id)).toBeGreaterThan(1);
    },
    PATIENT_MS,
  );

  it.each([
    ['the temperature', SMART, set(1, 0x77), undefined],
    ['the byte before the counters', SMART, set(31, 1), undefined],
    ['the byte after the counters', SMART, set(96, 1), undefined],
    ['media errors', SMART, set(160, 1), undefined],
    ['a temperature beside counters that differ', SMART, (log) => log.fill(9, 1, 33), undefined],
    ['a number of errors that nobody counted', SMART, zero(176, 192), set(180, 1)],
    ['the last byte of the SMART log', SMART, set(511, 1), undefined],
    ['memory behind the SMART log', SMART, set(512, 1), undefined],
    ['another queue in the entry of the error log', ERRORS, zero(0, 64), (log) => set(8, (log[8] as number) ^ 1)(log)],
    ['another command', ERRORS, zero(0, 64), (log) => set(10, (log[10] as number) ^ 1)(log)],
    ['another status', ERRORS, zero(0, 64), (log) => set(12, (log[12] as number) ^ 2)(log)],
    ['another block', ERRORS, zero(0, 64), (log) => set(23, (log[23] as number) ^ 1)(log)],
    ['an error log entry of the other’s own', ERRORS, set(63, 1), undefined],
    ['memory behind the error log', ERRORS, (log) => log.fill(0, 0, 65), undefined],
    ['another namespace that changed', CHANGED, zero(0, 4), set(0, 2)],
  ] as [string, number, Bend, Bend | undefined][])(
    'is not: %s',
    async (_what, lid, theirs, ours) => {
      const { unexplained } = await run(lid, theirs, ours);
      expect(unexplained.map(({ step }) => step.sqe[40])).toEqual([lid]);
    },
    PATIENT_MS,
  );
});

describe('where a log page lies', () => {
  const step = (prp1: number, prp2: number, dwords: number, offsetBytes = 0): Step => {
    const sqe = new Uint8Array(64);
    const view = new DataView(sqe.buffer);
    sqe[0] = GET_LOG_PAGE;
    view.setUint32(40, CHANGED | ((dwords - 1) << 16), true);
    view.setUint32(48, offsetBytes, true);
    const pointers = [24, 32].map((at, i) => [at, { target: i === 0 ? prp1 : prp2 }] as const);
    const rest = { name: '', changed: [], queue: 0, entries: [], input: [], mayPend: false };
    return { ...rest, sqe, pointers, list: 5, pages: [0, 1, 2, 3, 4, 5, 6] };
  };
  const memory = (...marks: readonly number[]): Uint32Array[] => {
    const pages = Array.from({ length: 7 }, () => new Uint8Array(PAGE));
    for (const at of marks) (pages[Math.floor(at / PAGE)] as Uint8Array)[at % PAGE] = 1;
    return pages.map(({ buffer }) => new Uint32Array(buffer));
  };
  const found = (sent: Step, ...marks: readonly number[]): number[] | null => {
    const data = sentData(sent, { ours: memory(...marks), theirs: memory() });
    return data === null ? null : [...data.ours.keys()].filter((i) => data.ours[i] !== 0).map((i) => data.from + i);
  };

  it('is found through both PRPs, and through a list', () => {
    expect(found(step(0x1010, 0x3000, 1024), 0x1010, 0x3000)).toEqual([0, 0xff0]);
    expect(found(step(0x1010, LIST_PAGE * PAGE + 8, 1024), 0x1010)).toEqual([0]);
    expect(found(step(0x1000, LIST_PAGE * PAGE, 1024, 100), 0x1001)).toEqual([101]);
  });

  it('is not taken for memory beside it', () => {
    expect(found(step(0x1010, 0x3000, 1024), 0x100f)).toBeNull();
    expect(found(step(0x1010, 0x3000, 1024), 0x3010)).toBeNull();
    expect(found(step(0x1000, 0x3000, 8), 0x1020)).toBeNull();
  });

  it('differs in a range, or also elsewhere', () => {
    const data = { from: 16, ours: Uint8Array.of(1, 0, 1), theirs: Uint8Array.of(0, 0, 0) };
    expect(differsOnlyIn(data, [[16, 19]])).toBe(true);
    expect(differsOnlyIn(data, [[16, 18]])).toBe(false);
    expect(
      differsOnlyIn(data, [
        [0, 17],
        [18, 99],
      ]),
    ).toBe(true);
  });
});

describe('a read of blocks that leaves other bytes on QEMU', () => {
  const READ = 2;
  /** 512-byte blocks with 8 bytes of separate, protected metadata. */
  const medium = new Medium();
  medium.take(1 | (1 << 5));

  /** A read of so many blocks to page 3, and their metadata to `metadataPage`. */
  function read(blocks: number, metadataPage = 20): Step {
    const sqe = new Uint8Array(64);
    sqe[0] = READ;
    new DataView(sqe.buffer).setUint16(48, blocks - 1, true);
    const pointers: Step['pointers'] = [
      [24, { target: 3 * PAGE }],
      [32, { target: LIST_PAGE * PAGE }],
      [16, { target: metadataPage * PAGE }],
    ];
    return {
      name: 'Read',
      changed: [],
      queue: 1,
      sqe,
      pointers,
      list: 4,
      entries: [],
      input: [],
      mayPend: false,
      pages: [3],
    };
  }
  const page = (byte: number): Uint32Array[] => [new Uint32Array(new Uint8Array(PAGE).fill(byte, 100, 108).buffer)];

  it.each([
    ['ones that QEMU did not set', read(8), 0xff, 0, 'deallocated-run'],
    ['ones that QEMU set', read(8), 0x12, 0xff, 'deallocated-run'],
    ['other bytes', read(8), 0x12, 0x13, null],
    ['ones in a single block', read(1), 0xff, 0, null],
    ['zeroes where QEMU has something', read(8), 0, 0x12, null],
    ['metadata in the page of the data', read(8, 3), 0x12, 0x13, 'named-twice'],
    ['more data than there are pages', read(256), 0x12, 0x13, 'named-twice'],
  ] as const)('is told by %s', (_, step, ours, theirs, id) => {
    expect(explainRead(step, medium, page(ours), page(theirs))).toBe(id);
  });
});
