// Directives and streams, as commands and completions show them.
import * as nvme from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { createNvmeController } from './controller.js';
import { DATA, INVALID_FIELD, identify, RAM_BYTES } from './fixtures/optional-hardware.js';
import type { NvmeController } from './ports.js';
import { RegisterDriver } from './testing/register-driver.js';

const { directiveSend: SEND, directiveRecv: RECEIVE } = nvme.NvmeAdminOpcode;
const { write: WRITE } = nvme.NvmeNvmOpcode;
const { NVME_DIR_IDENTIFY: IDENTIFY, NVME_DIR_STREAMS: STREAMS, NVME_NSID_ALL: ALL } = nvme;
const INVALID_NS = 0x400b;
const INVALID_OPCODE = 0x4001;
const ALLOCATION_FAILED = 0x417f;
const DTYPE_SHIFT = 20;

type Options = Parameters<typeof createNvmeController>[0];

interface Bench {
  readonly fn: NvmeController;
  readonly driver: RegisterDriver;
  /** Status of Directive Send. */
  send(nsid: number, type: number, op: number, dspec?: number, cdw12?: number): number;
  receive(nsid: number, type: number, op: number, cdw12?: number): { status: number; dw0: number };
  /** Return Parameters of Streams. */
  parameters(nsid: number): ReturnType<typeof nvme.StreamsDirectiveParams.decode>;
  open(nsid: number): number[];
  /** Status of a write of `blocks` to a stream. */
  write(stream: number, blocks?: number, nsid?: number, type?: number): number;
}

function bench(options: Partial<Options> = {}): Bench {
  const namespaces = [{ sizeBytes: 1 << 20 }, { sizeBytes: 1 << 20 }];
  const fn = createNvmeController({
    namespaces,
    streams: { maxStreams: 8, writeSizeBlocks: 16, granularity: 32 },
    ...options,
  });
  const driver = new RegisterDriver(fn, { ramBytes: RAM_BYTES });
  driver.enable();
  driver.createQueuePair(1, 16);
  const data = (length: number): Uint8Array => driver.host.ram.subarray(DATA, DATA + length);
  const receive: Bench['receive'] = (nsid, type, op, cdw12 = 0) =>
    driver.admin({ opcode: RECEIVE, nsid, prp1: DATA, cdw10: 1023, cdw11: op | (type << 8), cdw12 });
  return {
    fn,
    driver,
    receive,
    send: (nsid, type, op, dspec = 0, cdw12 = 0) =>
      driver.admin({ opcode: SEND, nsid, cdw11: (op | (type << 8) | (dspec << 16)) >>> 0, cdw12 }).status,
    parameters: (nsid) => {
      expect(receive(nsid, STREAMS, nvme.NVME_DIR_RCV_ST_OP_PARAM).status).toBe(0);
      return nvme.StreamsDirectiveParams.decode(data(32));
    },
    open: (nsid) => {
      expect(receive(nsid, STREAMS, nvme.NVME_DIR_RCV_ST_OP_STATUS).status).toBe(0);
      const words = new Uint16Array(data(256).slice().buffer);
      return [...words.subarray(1, 1 + (words[0] as number))];
    },
    write: (stream, blocks = 1, nsid = 1, type = STREAMS) =>
      driver.submit(1, {
        opcode: WRITE,
        nsid,
        prp1: DATA,
        cdw12: (blocks - 1) | (type << DTYPE_SHIFT),
        cdw13: (stream << 16) >>> 0,
      }).status,
  };
}

function enable({ send }: Bench, nsid: number = ALL, on = true): number {
  return send(nsid, IDENTIFY, nvme.NVME_DIR_SND_ID_OP_ENABLE, 0, (on ? nvme.NVME_DIR_ENDIR : 0) | (STREAMS << 8));
}

function enabled(options: Partial<Options> = {}): Bench {
  const one = bench(options);
  expect(enable(one)).toBe(0);
  return one;
}

describe('directives', () => {
  it('are in Identify and in the effects log where there are streams, and nowhere else', () => {
    for (const [streams, bit, supported] of [
      [{ maxStreams: 4 }, nvme.NVME_CTRL_OACS_DIRECTIVES, nvme.NVME_CMD_EFFECTS_CSUPP],
      [undefined, 0, 0],
    ] as const) {
      const { driver, receive, send } = bench({ streams } as Partial<Options>);
      expect(identify(driver).oacs & nvme.NVME_CTRL_OACS_DIRECTIVES).toBe(bit);
      driver.admin({ opcode: 2, prp1: DATA, cdw10: 5 | (1023 << 16) });
      const { acs } = nvme.NvmeEffectsLog.decode(driver.host.ram.subarray(DATA, DATA + 4096));
      expect([acs[SEND], acs[RECEIVE]]).toEqual([supported, supported]);
      if (streams !== undefined) continue;
      expect([send(1, IDENTIFY, 1), receive(1, IDENTIFY, 1).status]).toEqual([INVALID_OPCODE, INVALID_OPCODE]);
    }
  });

  it('tell which there are and which are enabled, by namespace', () => {
    const one = bench();
    const types = (nsid: number): [number, number] => {
      expect(one.receive(nsid, IDENTIFY, nvme.NVME_DIR_RCV_ID_OP_PARAM).status).toBe(0);
      const id = nvme.NvmeIdDirectives.decode(one.driver.host.ram.subarray(DATA, DATA + 4096));
      return [id.supported, id.enabled];
    };
    expect(types(1)).toEqual([3, 1]);
    expect(enable(one, 1)).toBe(0);
    expect([types(1), types(2), types(ALL)]).toEqual([
      [3, 3],
      [3, 1],
      [3, 1],
    ]);
    expect(enable(one)).toBe(0);
    expect([types(2), types(ALL)]).toEqual([
      [3, 3],
      [3, 3],
    ]);
    expect(enable(one, 2, false)).toBe(0);
    expect([types(1), types(2)]).toEqual([
      [3, 3],
      [3, 1],
    ]);
  });

  it.each<[string, (one: Bench) => number, number]>([
    ['Identify is switched', ({ send }) => send(1, IDENTIFY, 1, 0, IDENTIFY << 8), INVALID_FIELD],
    ['an unknown directive is switched', ({ send }) => send(1, IDENTIFY, 1, 0, 7 << 8), INVALID_FIELD],
    ['the type is unknown', ({ send }) => send(1, 7, 1), INVALID_FIELD],
    ['the operation of Identify is unknown', ({ receive }) => receive(1, IDENTIFY, 2).status, INVALID_FIELD],
    ['the operation of Streams is unknown', ({ receive }) => receive(1, STREAMS, 4).status, INVALID_FIELD],
    ['there is no such namespace', ({ receive }) => receive(300, STREAMS, 1).status, INVALID_NS],
    ['resources are asked for every namespace', ({ receive }) => receive(ALL, STREAMS, 3, 1).status, INVALID_NS],
    ['every namespace’s status is asked for', ({ receive }) => receive(ALL, STREAMS, 2).status, INVALID_NS],
    ['every namespace’s resources are released', ({ send }) => send(ALL, STREAMS, 2), INVALID_NS],
  ])('are refused when %s', (_why, act, status) => {
    expect(act(enabled())).toBe(status);
  });

  it('of the type Streams are refused while it is disabled', () => {
    const { send, receive, write } = bench();
    expect([1, 2, 3].map((op) => receive(1, STREAMS, op).status)).toEqual(new Array(3).fill(INVALID_FIELD));
    expect([1, 2].map((op) => send(1, STREAMS, op))).toEqual([INVALID_FIELD, INVALID_FIELD]);
    expect([write(1), write(0, 1, 1, 0)]).toEqual([INVALID_FIELD, 0]);
  });
});

describe('a stream', () => {
  it('is opened by the first write to it, and counts what is written to it', () => {
    const one = enabled();
    expect(one.parameters(1)).toMatchObject({ msl: 8, nssa: 8, nsso: 0, sws: 16, sgs: 32, nsa: 0, nso: 0 });
    expect([one.write(5), one.write(3, 8), one.write(5, 2), one.write(7, 1, 2)]).toEqual([0, 0, 0, 0]);
    expect([one.open(1), one.open(2)]).toEqual([[3, 5], [7]]);
    expect(one.parameters(1)).toMatchObject({ nssa: 5, nsso: 3, nso: 2 });
    expect(one.parameters(ALL)).toMatchObject({ msl: 8, nssa: 5, nsso: 3, sws: 0, sgs: 0, nsa: 0, nso: 0 });
    expect(one.fn.streams?.all).toEqual([
      expect.objectContaining({ nsid: 1, id: 5, isOpen: true, writes: 2, bytesWritten: 3 * 512 }),
      expect.objectContaining({ nsid: 1, id: 3, isOpen: true, writes: 1, bytesWritten: 8 * 512 }),
      expect.objectContaining({ nsid: 2, id: 7, isOpen: true, writes: 1, bytesWritten: 512 }),
    ]);
  });

  it('gets what a forced write writes once, and nothing of one that fails', () => {
    const { driver, fn, write } = enabled();
    const forced = { opcode: WRITE, nsid: 1, prp1: DATA, cdw12: (STREAMS << DTYPE_SHIFT) | (1 << 30), cdw13: 9 << 16 };
    expect(driver.submit(1, forced).status).toBe(0);
    expect(driver.submit(1, { ...forced, cdw10: 1 << 20 }).status).not.toBe(0);
    expect(fn.streams?.all).toEqual([expect.objectContaining({ id: 9, writes: 1, bytesWritten: 512 })]);
    expect(fn.counters).toMatchObject({ hostWriteCommands: 1, bytesWritten: 512 });
    expect(write(0)).toBe(0);
    expect(fn.streams?.all.length).toBe(1);
  });

  it('has its data where any other write has them', () => {
    const { driver, write } = enabled();
    const { ram } = driver.host;
    ram.fill(0xa5, DATA, DATA + 1024);
    expect(write(4, 2)).toBe(0);
    ram.fill(0, DATA, DATA + 1024);
    expect(driver.submit(1, { opcode: 2, nsid: 1, prp1: DATA, cdw12: 1 }).status).toBe(0);
    expect(ram.subarray(DATA, DATA + 1024).every((byte) => byte === 0xa5)).toBe(true);
  });

  it('is not opened when there is no resource left: the write is one like any other', () => {
    const { fn, write, open } = enabled({ streams: { maxStreams: 2 } });
    expect([write(1), write(2), write(3), write(2)]).toEqual([0, 0, 0, 0]);
    expect(open(1)).toEqual([1, 2]);
    expect(fn.streams?.unplacedWrites).toBe(1);
    expect(fn.counters.hostWriteCommands).toBe(4);
  });

  it('is closed by Release Identifier, and its resource is free again', () => {
    const { send, write, open, parameters } = enabled({ streams: { maxStreams: 2 } });
    expect([write(1), write(2)]).toEqual([0, 0]);
    expect([send(1, STREAMS, 1, 1), send(1, STREAMS, 1, 40)]).toEqual([0, 0]);
    expect([open(1), parameters(1).nssa]).toEqual([[2], 1]);
    expect(write(3)).toBe(0);
    expect(open(1)).toEqual([2, 3]);
  });

  it('uses what its namespace has for itself, when it has any', () => {
    const { send, receive, write, open, parameters, fn } = enabled();
    expect(receive(1, STREAMS, 3, 2)).toMatchObject({ status: 0, dw0: 2 });
    expect(receive(1, STREAMS, 3, 2).status).toBe(INVALID_FIELD);
    expect(parameters(1)).toMatchObject({ nssa: 6, nsa: 2, nso: 0 });
    expect([write(1), write(2), write(3), write(1, 1, 2)]).toEqual([0, 0, 0, 0]);
    expect([open(1), open(2), fn.streams?.unplacedWrites]).toEqual([[1, 2], [1], 1]);
    expect(parameters(1)).toMatchObject({ nssa: 5, nsso: 1, nso: 2 });
    expect(send(1, STREAMS, 2)).toBe(0);
    expect([open(1), open(2)]).toEqual([[], [1]]);
    expect(parameters(1)).toMatchObject({ nssa: 7, nsa: 0 });
  });

  it('is given fewer resources than asked for, but not none', () => {
    const { receive } = enabled();
    expect(receive(1, STREAMS, 3, 100)).toMatchObject({ status: 0, dw0: 8 });
    expect(receive(2, STREAMS, 3, 1).status).toBe(ALLOCATION_FAILED);
  });

  it.each<[string, (one: Bench) => void]>([
    ['its directive is disabled', (one) => void enable(one, ALL, false)],
    [
      'the controller is reset',
      ({ driver }) => {
        driver.write32(nvme.NVME_REG_CC, 0x00460060);
        driver.enable();
        driver.createQueuePair(1, 16);
      },
    ],
  ])('is closed when %s; its counters stay', (_why, act) => {
    const one = enabled();
    expect([one.write(4), one.receive(2, STREAMS, 3, 3).dw0]).toEqual([0, 3]);
    act(one);
    expect(one.write(4)).toBe(INVALID_FIELD);
    expect(enable(one)).toBe(0);
    expect([one.open(1), one.parameters(2).nsa, one.parameters(2).nssa]).toEqual([[], 0, 8]);
    expect(one.fn.streams?.all).toEqual([expect.objectContaining({ id: 4, isOpen: false, writes: 1 })]);
  });

  it('is in a snapshot', () => {
    const one = enabled();
    expect([one.write(4, 4), one.receive(2, STREAMS, 3, 3).dw0]).toEqual([0, 3]);
    const snapshot = JSON.parse(JSON.stringify(one.fn.snapshot()));
    const copy = bench();
    copy.fn.restore(snapshot);
    expect(copy.fn.streams?.all).toEqual(one.fn.streams?.all);
    expect(copy.fn.snapshot().streams).toEqual(snapshot.streams);
  });
});

describe('a description of streams', () => {
  it.each([
    [{ streams: { maxStreams: 0 } }, 'streams.maxStreams 0 is not allowed'],
    [{ streams: { maxStreams: 4, granularity: 70_000 } }, 'streams.granularity 70000 is not allowed'],
    [{ streams: { maxStreams: 4 }, version: '1.2' }, 'absent where the version is 1.2, before 1.3'],
    [
      { streams: { maxStreams: 4 }, sriovMaxVfs: 2 },
      'sriovMaxVfs 2 is not allowed: it must be 0 where there are streams',
    ],
  ])('%o is refused', (description, sentence) => {
    expect(() => createNvmeController({ namespaces: [], ...description } as Options)).toThrow(sentence);
  });
});
