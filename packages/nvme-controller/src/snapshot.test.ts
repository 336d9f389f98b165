// A controller restored from a snapshot goes on as the one it was taken of, at whatever moment, on another board.
import * as nvme from '@nvme-stack/nvme-protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ControllerState } from './controller-state.js';
import {
  type ControllerSnapshot,
  createNvmeController,
  type FaultRule,
  MemoryBlockStore,
  type NvmeController,
} from './index.js';
import { CARRIED } from './snapshot.js';
import { RegisterDriver } from './testing.js';

const RAM_BYTES = 1 << 19;
const MEDIUM_BYTES = 1 << 18;
const DATA = 0x40000;
const { read: READ, write: WRITE, flush: FLUSH, dsm: DSM } = nvme.NvmeNvmOpcode;
const {
  getFeatures: GET_FEATURES,
  setFeatures: SET_FEATURES,
  asyncEvent: AER,
  getLogPage: GET_LOG,
} = nvme.NvmeAdminOpcode;

interface Bench {
  readonly driver: RegisterDriver;
  readonly fn: NvmeController;
  readonly medium: Uint8Array;
  nextCid: number;
}

const LATENCY = { kind: 'fixed', readNs: 700, writeNs: 1100, flushNs: 300, adminNs: 150 } as const;

function bench(faults: readonly FaultRule[], ram?: Uint8Array, medium = new Uint8Array(MEDIUM_BYTES)): Bench {
  const fn = createNvmeController(
    { namespaces: [{ sizeBytes: MEDIUM_BYTES }], latency: LATENCY, faults: { seed: 3, faults } },
    { createStore: (_nsid, sizeBytes) => new MemoryBlockStore(medium, 0, sizeBytes, false) },
  );
  const driver = new RegisterDriver(fn, { ramBytes: RAM_BYTES, ...(ram === undefined ? {} : { ram }) });
  return { driver, fn, medium, nextCid: 1 };
}

type Step = readonly [what: number, a: number, b: number];

/** One thing a host does; what it sees of it. */
function act(at: Bench, [what, a, b]: Step): unknown {
  const { driver, fn } = at;
  const { host } = driver;
  const cid = at.nextCid++ & 0xffff;
  const io = (opcode: number): void => {
    host.ram.fill(a & 0xff, DATA + (b & 3) * 8192, DATA + (b & 3) * 8192 + 4096);
    driver.put(1, { cid, opcode, nsid: 1, prp1: DATA + (b & 3) * 8192, cdw10: a % 500, cdw12: b & 7 });
    driver.ring(1);
  };
  const admin = (opcode: number, cdw10: number, cdw11: number): void => {
    driver.put(0, { cid, opcode, nsid: 0xffffffff, prp1: DATA + 0x10000, cdw10, cdw11 });
    driver.ring(0);
  };
  switch (what) {
    case 0:
      return io(WRITE);
    case 1:
      return io(READ);
    case 2:
      return io(FLUSH);
    case 3:
      return io(DSM);
    case 4:
      return host.pump();
    case 5:
      return host.advance(a % 900);
    case 6:
      return [driver.takeAll(1), driver.takeAll(0)];
    case 7:
      return admin(SET_FEATURES, 11, a & 0x11f);
    case 8:
      return admin(GET_FEATURES, 14, 0);
    case 9:
      return admin(AER, 0, 0);
    case 10:
      return fn.setTemperatureKelvin(300 + (a % 100));
    case 11:
      return admin(GET_LOG, 0x7f0002, 0);
    case 12:
      driver.fn.configWrite(4, a & 1 ? 6 : 2, 2);
      return driver.fn.configWrite(4, 6, 2);
    default:
      return [driver.read32(0x1c), driver.read32(0x14), fn.outstandingCommands, { ...fn.counters }];
  }
}

/** Everything a host can tell apart after the steps. */
function observe(at: Bench, steps: readonly Step[]): unknown[] {
  const from = at.driver.host.messages.length;
  const seen = steps.map((step) => act(at, step));
  at.driver.host.advance(1e6);
  seen.push(act(at, [6, 0, 0]), act(at, [99, 0, 0]), at.driver.host.messages.slice(from), at.driver.host.intxLevel);
  return seen;
}

const step = fc.tuple(fc.integer({ min: 0, max: 13 }), fc.nat(10000), fc.nat(100)) as fc.Arbitrary<Step>;
const faults = fc.subarray<FaultRule>([
  { kind: 'status', queue: 'io', status: 0x281, probability: 0.2 },
  { kind: 'hang', command: 'write', nth: 3 },
  { kind: 'duplicate', command: 'read', nth: 2 },
  { kind: 'interrupt-late', delayNs: 400, probability: 0.3 },
  { kind: 'spurious-interrupt', everyNs: 500, times: 5, toVector: 1 },
  { kind: 'fatal', on: 'time', afterNs: 9000 },
]);

describe('a snapshot', () => {
  it('restored on another board, at another time, goes on as the controller it was taken of', () => {
    fc.assert(
      fc.property(
        faults,
        fc.boolean(),
        fc.array(step, { maxLength: 40 }),
        fc.array(step, { minLength: 1, maxLength: 40 }),
        (rules, msix, before, after) => {
          const original = bench(rules);
          if (msix) original.driver.enableMsix();
          original.driver.enable();
          original.driver.host.advance(1000);
          createPair(original);
          for (const one of before) act(original, one);
          const snapshot = JSON.parse(JSON.stringify(original.fn.snapshot())) as ControllerSnapshot;
          const copy = bench(rules, original.driver.host.ram.slice(), original.medium.slice());
          copyQueues(original, copy);
          copy.driver.host.advance(123);
          copy.fn.restore(snapshot);
          expect(
            JSON.parse(
              JSON.stringify({ ...copy.fn.snapshot(), nowNs: 0, events: [], features: 0, faults: 0, state: 0 }),
            ),
          ).toEqual({
            ...snapshot,
            nowNs: 0,
            events: [],
            features: 0,
            faults: 0,
            state: 0,
          });
          expect(observe(copy, after)).toEqual(observe(original, after));
          expect(difference(copy.medium, original.medium)).toBe(-1);
          expect(difference(copy.driver.host.ram, original.driver.host.ram)).toBe(-1);
        },
      ),
      { numRuns: 150, seed: 5 },
    );
  });

  it('restored where it was taken undoes what happened since', () => {
    const at = bench([]);
    at.driver.enable();
    const snapshot = at.fn.snapshot();
    at.driver.write32(0x14, 0);
    at.fn.faults.add({ kind: 'gone', on: 'time' });
    at.driver.host.advance(10);
    expect(at.driver.read32(0x1c)).toBe(0xffffffff);
    at.fn.restore(snapshot);
    expect(at.driver.read32(0x1c)).toBe(1);
    expect(at.fn.faults.rules).toEqual([]);
  });

  it('is refused by a controller of another description, and of another version', () => {
    const snapshot = bench([]).fn.snapshot();
    const other = createNvmeController({ namespaces: [{ sizeBytes: 4096 }] });
    expect(() => other.restore(snapshot)).toThrow(
      'snapshot.description is not allowed: it must be that of this controller',
    );
    expect(() => bench([]).fn.restore({ ...snapshot, schemaVersion: 9 })).toThrow(
      'snapshot.schemaVersion 9 is not allowed: it must be 1',
    );
  });

  it('is refused of a controller with a part that has none', () => {
    const fn = createNvmeController({ namespaces: [], cmb: { sizeMiB: 1 } });
    expect(() => fn.snapshot()).toThrow(
      'a controller with cmb, hmb, several powerStates, multiController or sriovMaxVfs has no snapshot',
    );
    const primary = createNvmeController({ namespaces: [], sriovMaxVfs: 1 });
    expect(() => primary.snapshot()).toThrow('sriovMaxVfs has no snapshot');
  });

  it('leaves out no field of the state', () => {
    const parts = [
      'registers',
      'features',
      'health',
      'coalescing',
      'streams',
      'namespaces',
      'submissionQueues',
      'completionQueues',
    ];
    const lists = ['slots', 'parkedRequests', 'firstQueued', 'lastQueued', 'firstDirty', 'lastDirty', 'freeSlots'];
    const others = ['inlineSlot', 'activeSlots', 'events', 'injector', 'endpoint'];
    const derived = ['description', 'latency', 'faults', 'stage', 'hasDelays', 'maxTransferBytes', 'generation'];
    const identity = ['controllerId', 'isSecondary', 'allotment'];
    const ofTheHost = ['host', 'tracing', 'isInDevice'];
    const refused = ['cmb', 'hmb', 'power', 'virtualFunctions', 'isOffline', 'subsystem', 'resources'];
    const known = [...CARRIED, ...parts, ...lists, ...others, ...derived, ...ofTheHost, ...refused, ...identity];
    const state = Object.keys(stateOf());
    expect(state.filter((name) => !known.includes(name))).toEqual([]);
  });
});

function stateOf(): ControllerState {
  let seen: ControllerState | null = null;
  const fn = createNvmeController({ namespaces: [{ sizeBytes: 4096 }] });
  const { prototype } = ControllerState;
  const { lookAtTracing } = prototype;
  prototype.lookAtTracing = function (this: ControllerState) {
    seen = this;
    lookAtTracing.call(this);
  };
  fn.barRead(0, 0, 4);
  prototype.lookAtTracing = lookAtTracing;
  return seen as unknown as ControllerState;
}

/** An I/O queue pair, by commands that take their time. */
function createPair({ driver }: Bench): void {
  const sq = 0x10000;
  const cq = 0x16000;
  const { createCq, createSq } = nvme.NvmeAdminOpcode;
  driver.put(0, { opcode: createCq, prp1: cq, cdw10: (31 << 16) | 1, cdw11: (1 << 16) | 3 });
  driver.ring(0);
  driver.host.advance(1000);
  driver.put(0, { opcode: createSq, prp1: sq, cdw10: (31 << 16) | 1, cdw11: (1 << 16) | 1 });
  driver.ring(0);
  driver.host.advance(1000);
  driver.takeAll(0);
  driver.queues.set(1, { qid: 1, size: 32, sq, cq, tail: 0, head: 0, phase: 1 });
}

/** The first byte that differs, or -1. */
function difference(left: Uint8Array, right: Uint8Array): number {
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return i;
  return -1;
}

function copyQueues(from: Bench, to: Bench): void {
  for (const [qid, queue] of from.driver.queues) to.driver.queues.set(qid, { ...queue });
  to.nextCid = from.nextCid;
}
