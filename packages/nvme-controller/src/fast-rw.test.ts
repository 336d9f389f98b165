// The short way of reads and writes against the general one: the same commands, everything a host can see compared.
import * as nvme from '@nvme-stack/nvme-protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BlockStore, type BlockStoreClient, createNvmeController, type FaultPlan } from './index.js';
import { RegisterDriver, type TestCommand } from './testing.js';

const DATA = 0x40000;
const RAM_BYTES = 1 << 19;
const NAMESPACE_BYTES = 1 << 16;
const SMART_PAGE = 0x3f000;
const { read: READ, write: WRITE, flush: FLUSH, compare: COMPARE, writeZeroes: WRITE_ZEROES } = nvme.NvmeNvmOpcode;
/** A plan that does nothing, but keeps every command on the general path. */
const NO_FAULTS: FaultPlan = {};

type Behaviour = 'now' | 'later' | 'error' | 'pieces' | 'others first' | 'others after' | 'reset';

/** A medium that behaves as its script says, request by request, and logs what it is asked. */
class ScriptedStore implements BlockStore {
  readonly sizeBytes = NAMESPACE_BYTES;
  readonly readOnly = false;
  readonly bytes = Uint8Array.from({ length: NAMESPACE_BYTES }, (_, i) => (i * 13 + (i >> 8)) & 0xff);
  readonly waiting: (() => void)[] = [];
  onReset: () => void = () => {};
  private readonly script: readonly Behaviour[];
  private readonly log: (line: string) => void;
  private at = 0;

  constructor(script: readonly Behaviour[], log: (line: string) => void) {
    this.script = script;
    this.log = log;
  }

  read(offset: number, length: number, client: BlockStoreClient): void {
    this.serve('read', offset, length, client, true);
  }
  write(offset: number, length: number, client: BlockStoreClient): void {
    this.serve('write', offset, length, client, true);
  }
  flush(client: BlockStoreClient): void {
    this.serve('flush', 0, 0, client, false);
  }
  discard(offset: number, length: number, client: BlockStoreClient): void {
    this.writeZeroes(offset, length, client);
  }
  writeZeroes(offset: number, length: number, client: BlockStoreClient): void {
    this.bytes.fill(0, offset, offset + length);
    this.serve('zeroes', offset, length, client, false);
  }

  finishOldest(): void {
    this.waiting.shift()?.();
  }

  private serve(name: string, offset: number, length: number, client: BlockStoreClient, moves: boolean): void {
    const behaviour = this.script[this.at++ % this.script.length] as Behaviour;
    this.log(`${name} ${offset} ${length} ${behaviour}`);
    const finish = (): void => {
      let refused = 0;
      if (moves && behaviour === 'pieces') {
        const half = length >> 1;
        refused = client.piece(this.bytes, offset, half) || client.piece(this.bytes, offset + half, length - half);
      } else if (moves) {
        refused = client.piece(this.bytes, offset, length);
      }
      this.log(`moved ${refused}`);
      client.done(behaviour === 'error' ? 1 : refused === 0 ? 0 : 3);
    };
    if (behaviour === 'later') this.waiting.push(finish);
    if (behaviour === 'reset') this.onReset();
    if (behaviour === 'others first') this.finishOldest();
    if (behaviour !== 'later') finish();
    if (behaviour === 'others after') this.finishOldest();
  }
}

interface IoCommand {
  readonly qid: number;
  readonly opcode: number;
  readonly flags: number;
  readonly nsid: number;
  readonly slba: number;
  readonly blocks: number;
  readonly fua: boolean;
  readonly prp1: number;
  readonly prp2: number;
}

type Step =
  | { readonly kind: 'commands'; readonly commands: readonly IoCommand[] }
  | { readonly kind: 'finish' | 'take' | 'delete' | 'reset' | 'cache' | 'shadow' | 'smart' };

interface Setup {
  /** Entries of the first queue pair. */
  readonly depth: number;
  readonly msix: boolean;
  readonly blockSize: 512 | 4096;
  readonly script: readonly Behaviour[];
  readonly steps: readonly Step[];
}

/** Runs a scenario and returns everything that could be seen. */
function run({ depth, msix, blockSize, script, steps }: Setup, faults: FaultPlan | undefined): string[] {
  const seen: string[] = [];
  const store = new ScriptedStore(script, (line) => seen.push(`${line}; ${fn.outstandingCommands} outstanding`));
  const fn = createNvmeController(
    {
      mdts: 2,
      namespaces: [
        { sizeBytes: NAMESPACE_BYTES, logicalBlockSize: blockSize },
        { sizeBytes: NAMESPACE_BYTES, logicalBlockSize: blockSize, readOnly: true },
        { sizeBytes: NAMESPACE_BYTES, attached: false },
      ],
    },
    { createStore: () => store, ...(faults ? { faults } : {}) },
  );
  const driver = new RegisterDriver(fn, { ramBytes: RAM_BYTES });
  const { host } = driver;
  const ram = new Int32Array(host.ram.buffer);
  const media = new Int32Array(store.bytes.buffer);
  store.onReset = () => fn.reset('flr');
  for (const name of ['dmaRead', 'dmaWrite'] as const) {
    const way = host[name].bind(host);
    host[name] = (address, bytes, offset, length) => {
      seen.push(`${name} ${address} ${length}`);
      return way(address, bytes, offset, length);
    };
  }
  const start = (): void => {
    fn.configWrite(4, 6, 2);
    driver.enable();
    if (msix) driver.enableMsix();
    driver.createQueuePair(1, depth);
    driver.createQueuePair(2, 5);
    // A third submission queue that completes where the first does.
    const { status } = driver.admin({ opcode: 1, prp1: 0x30000, cdw10: (4 << 16) | 3, cdw11: (1 << 16) | 1 });
    expect(status).toBe(0);
    driver.queues.set(3, { qid: 3, size: 5, sq: 0x30000, cq: 0, tail: 0, head: 0, phase: 1 });
  };
  const isReady = (): boolean => (driver.read32(0x1c) & 3) === 1;
  const look = (): void => {
    let sum = 0;
    for (const words of [ram, media]) {
      for (let i = 0; i < words.length; i++) sum = (Math.imul(sum, 31) + (words[i] as number)) | 0;
    }
    const counters = JSON.stringify(fn.counters, (_, value) => (value instanceof Set ? [...value] : value));
    seen.push(`${sum} ${counters} ${fn.outstandingCommands} ${driver.read32(0x1c)} ${JSON.stringify(host.messages)}`);
    seen.push(`${host.intxChanges}`);
  };
  /** Unlike the driver's own, it does not insist on an answer: a store may have reset the controller. */
  const admin = (command: TestCommand): void => {
    driver.put(0, command);
    driver.ring(0);
    host.pump();
    seen.push(JSON.stringify(driver.takeAll(0)));
  };
  start();
  for (let i = DATA; i < RAM_BYTES; i++) host.ram[i] = (i * 7 + (i >> 9)) & 0xff;
  for (const step of steps) {
    if (!isReady()) {
      fn.reset('conventional');
      start();
    }
    seen.push(`-- ${step.kind}`);
    if (step.kind === 'commands') {
      for (const { qid, slba, blocks, fua, ...command } of step.commands) {
        const cdw12 = ((blocks - 1) | (fua ? 0x40000000 : 0)) >>> 0;
        driver.put(qid, { ...command, cdw10: slba % 2 ** 32, cdw11: Math.floor(slba / 2 ** 32), cdw12 });
      }
      for (const qid of [3, 1, 2]) if (step.commands.some((command) => command.qid === qid)) driver.ring(qid);
    } else if (step.kind === 'finish') {
      store.finishOldest();
    } else if (step.kind === 'take') {
      for (const qid of [1, 2]) seen.push(JSON.stringify(driver.takeAll(qid)));
    } else if (step.kind === 'delete') {
      admin({ opcode: 0, cdw10: 1 });
    } else if (step.kind === 'reset') {
      driver.write32(0x14, 0x00460060);
    } else if (step.kind === 'cache') {
      admin({ opcode: 9, cdw10: 6, cdw11: 0 });
    } else if (step.kind === 'shadow') {
      host.ram.fill(0, 0x3c000, 0x3e000);
      admin({ opcode: 0x7c, prp1: 0x3c000, prp2: 0x3d000 });
    } else {
      admin({ opcode: 2, nsid: 0xffffffff, cdw10: 2 | (127 << 16), prp1: SMART_PAGE });
    }
    host.pump();
    look();
  }
  return seen;
}

const command: fc.Arbitrary<IoCommand> = fc.record({
  qid: fc.constantFrom(1, 1, 1, 2, 3),
  opcode: fc.constantFrom(READ, READ, READ, WRITE, WRITE, WRITE, FLUSH, COMPARE, WRITE_ZEROES, 0x99),
  flags: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0x40, 0xc0),
  nsid: fc.constantFrom(1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 0, 300, 0xffffffff),
  slba: fc.oneof(
    { weight: 9, arbitrary: fc.nat(127) },
    { weight: 1, arbitrary: fc.constantFrom(121, 127, 2 ** 32, 2 ** 60) },
  ),
  blocks: fc.constantFrom(1, 1, 2, 3, 8, 8, 8, 15, 16, 17, 33),
  fua: fc.constantFrom(false, false, false, false, true),
  prp1: fc
    .tuple(fc.nat(40), fc.constantFrom(0, 0, 0, 0, 512, 0xe00, 4, 2))
    .map(([page, offset]) => DATA + page * 4096 + offset),
  prp2: fc.oneof(
    { weight: 9, arbitrary: fc.nat(40).map((page) => DATA + page * 4096) },
    { weight: 1, arbitrary: fc.constantFrom(DATA + 8, DATA + 3, 2 ** 40, RAM_BYTES) },
  ),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc
      .tuple(fc.array(command, { minLength: 1, maxLength: 7 }), fc.constantFrom(0, 0, 2))
      .map(([list, only]) => {
        const commands = only === 0 ? list : list.slice(0, 4).map((one) => ({ ...one, qid: only }));
        return { kind: 'commands', commands };
      }),
  },
  { weight: 8, arbitrary: fc.constantFrom({ kind: 'finish' }, { kind: 'take' }, { kind: 'take' }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      { kind: 'delete' },
      { kind: 'reset' },
      { kind: 'cache' },
      { kind: 'shadow' },
      { kind: 'smart' },
    ),
  },
) as fc.Arbitrary<Step>;
const behaviour = fc.oneof(
  { weight: 20, arbitrary: fc.constant<Behaviour>('now') },
  {
    weight: 7,
    arbitrary: fc.constantFrom<Behaviour>('later', 'later', 'error', 'pieces', 'others first', 'others after', 'reset'),
  },
);
const setup: fc.Arbitrary<Setup> = fc.record({
  depth: fc.constantFrom(3, 8),
  msix: fc.boolean(),
  blockSize: fc.constantFrom(512, 512, 512, 4096) as fc.Arbitrary<512 | 4096>,
  script: fc.array(behaviour, { minLength: 1, maxLength: 24 }),
  steps: fc.array(step, { minLength: 1, maxLength: 14 }),
});

describe('plain reads and writes', () => {
  it('cannot be told from the general path by anything a host or a store sees', () => {
    fc.assert(
      fc.property(setup, (scenario) => {
        expect(run(scenario, undefined)).toEqual(run(scenario, NO_FAULTS));
      }),
      { numRuns: 150 },
    );
  });
  const plainRead = (slba: number): IoCommand => {
    const prp1 = DATA + (slba & 31) * 4096;
    return { qid: 1, opcode: READ, flags: 0, nsid: 1, slba, blocks: 8, fua: false, prp1, prp2: 0 };
  };
  for (const depth of [40, 100]) {
    it(`are all completed, in order, by a full completion queue of ${depth} entries`, () => {
      const commands = Array.from({ length: depth - 1 }, (_, i) => plainRead(i));
      const take: Step = { kind: 'take' };
      const submit: Step = { kind: 'commands', commands };
      const steps = [submit, submit, submit, take, take, take, take];
      const scenario: Setup = { depth, msix: true, blockSize: 512, script: ['now'], steps };
      const seen = run(scenario, undefined);
      expect(seen).toEqual(run(scenario, NO_FAULTS));
      const taken = seen.flatMap((line, i) =>
        seen[i - 1] === '-- take' ? (JSON.parse(line) as { cid: number }[]) : [],
      );
      expect(taken).toHaveLength(3 * (depth - 1));
      expect(taken.every(({ cid }, i) => cid === (taken[0] as { cid: number }).cid + i)).toBe(true);
    });
  }
  it('have slots of their own after a flush of all namespaces that a reset cut short', () => {
    const plain = { opcode: READ, flags: 0, nsid: 1, slba: 0, blocks: 1, fua: false, prp1: DATA, prp2: DATA };
    const commands = (...given: Partial<IoCommand>[]): Step => ({
      kind: 'commands',
      commands: given.map((fields) => ({ qid: 1, ...plain, ...fields })),
    });
    const scenario: Setup = {
      depth: 3,
      msix: false,
      blockSize: 512,
      script: ['reset', 'now', 'now'],
      steps: [
        commands({ prp1: DATA + 2 }, { opcode: FLUSH, nsid: 0xffffffff }),
        commands({}),
        commands({ qid: 2, flags: 0xc0 }, { qid: 2, blocks: 33 }, { qid: 2 }),
      ],
    };
    for (const faults of [undefined, NO_FAULTS]) {
      const seen = run(scenario, faults);
      expect(seen.filter((line) => line.startsWith('moved')).at(-1)).toBe('moved 1; 1 outstanding');
    }
  });
  it('are aborted in the order in which they were fetched when their queue goes', () => {
    const scenario: Setup = {
      depth: 8,
      msix: true,
      blockSize: 512,
      script: ['now', 'now', 'now', 'later', 'later', 'later'],
      steps: [
        { kind: 'commands', commands: [plainRead(1), plainRead(2), plainRead(3)] },
        { kind: 'take' },
        { kind: 'commands', commands: [plainRead(4), plainRead(5), plainRead(6)] },
        { kind: 'delete' },
        { kind: 'take' },
      ],
    };
    const seen = run(scenario, undefined);
    expect(seen).toEqual(run(scenario, NO_FAULTS));
    const taken = JSON.parse(seen[seen.length - 4] as string) as { cid: number }[];
    const cids = taken.map(({ cid }) => cid);
    expect(cids).toEqual([...cids].sort((a, b) => a - b));
    expect(cids.length).toBe(3);
  });
});
