/** The load phase: random reads and writes from every CPU at once, each checked against what was written. */
import { type Machine, REQ_OP_READ, REQ_OP_WRITE, REQ_SYNC } from '@nvme-stack/machine';
import { type Job, withJobs } from './jobs.js';
import type { OnProgress } from './progress.js';
import { countQueues, type QueueLoad, queueLoads } from './queue-loads.js';
import type { FoundDisk } from './session.js';

/** So many of its operations stay in the trace; the rest runs as after `echo 0 > tracing_on`. */
const TRACED_OPERATIONS = 64;
const BLOCK_BYTES = 4096;
const MOST_BLOCKS = (64 << 20) / BLOCK_BYTES;
const WRITES_PER_CENT = 30;

/** Operations of a kind, and how long they took in virtual time. */
export interface Latencies {
  readonly operations: number;
  readonly meanNs: number;
  readonly p50Ns: number;
  readonly p90Ns: number;
  readonly p99Ns: number;
  readonly p999Ns: number;
  readonly maxNs: number;
}

/** The whole phase. */
export interface LoadPhase {
  readonly disk: string;
  readonly jobs: number;
  readonly blockBytes: number;
  readonly reads: Latencies | null;
  readonly writes: Latencies | null;
  readonly queues: readonly QueueLoad[];
  readonly virtualNs: number;
  /** Reads whose block had been written before, and those of them with other bytes than were written. */
  readonly checked: number;
  readonly wrong: number;
}

/** Runs so many operations. What stands on an image is only read. */
export async function loadPhase(
  machine: Machine,
  found: FoundDisk,
  operations: number,
  onProgress: OnProgress,
): Promise<LoadPhase> {
  const blockBytes = Math.max(BLOCK_BYTES, found.blockSizeBytes);
  const blocks = Math.min(Math.floor(found.sizeBytes / blockBytes), MOST_BLOCKS);
  const mayWrite = !found.readOnly && !found.onImage;
  const run = new Run(operations, blocks, machine.description.seed, mayWrite);
  const { trace } = machine.subsystems.kernel;
  const before = countQueues(machine, found.name);
  const startNs = machine.nowNs;
  let jobCount = 0;
  await withJobs(machine, found.name, blockBytes, async (jobs) => {
    jobCount = jobs.length;
    const main = async (job: Job): Promise<void> => {
      await machine.task(
        `load/${job.cpu}`,
        async (subsystems) => {
          for (let i = run.next(); i >= 0; i = run.next()) {
            if (i === TRACED_OPERATIONS) trace.tracingOn = false;
            await run.one(i, job, blockBytes, subsystems);
            onProgress(run.done, operations);
          }
        },
        job.cpu,
      );
    };
    try {
      await Promise.all(jobs.map(main));
    } finally {
      trace.tracingOn = true;
    }
  });
  return {
    disk: found.name,
    jobs: jobCount,
    blockBytes,
    ...run.result(),
    queues: queueLoads(machine, found.name, run.byCpu, before),
    virtualNs: machine.nowNs - startNs,
  };
}

/** The operations of a phase: which comes next, what it did, what was found. */
class Run {
  readonly byCpu = new Map<number, number>();
  done = 0;
  private readonly operations: number;
  private readonly mayWrite: boolean;
  private readonly latencies: Float64Array;
  private readonly isWrite: Uint8Array;
  private readonly written: Uint8Array;
  private started = 0;
  private random: number;
  private checked = 0;
  private wrong = 0;

  constructor(operations: number, blocks: number, seed: number, mayWrite: boolean) {
    this.operations = blocks === 0 ? 0 : operations;
    this.mayWrite = mayWrite;
    this.latencies = new Float64Array(operations);
    this.isWrite = new Uint8Array(operations);
    this.written = new Uint8Array(blocks);
    this.random = (seed ^ 0x2545f491) | 1;
  }

  /** The next operation's number; -1: none is left. */
  next(): number {
    return this.started < this.operations ? this.started++ : -1;
  }

  async one(i: number, job: Job, blockBytes: number, subsystems: Machine['subsystems']): Promise<void> {
    const block = this.draw(this.written.length);
    const writes = this.mayWrite && this.draw(100) < WRITES_PER_CENT;
    const wasWritten = this.written[block] === 1;
    if (writes) job.buffer.write(0, stamp(block));
    const opf = writes ? REQ_OP_WRITE | REQ_SYNC : REQ_OP_READ;
    this.latencies[i] = await job.transfer(subsystems, opf, block * blockBytes, blockBytes);
    if (writes) {
      this.isWrite[i] = 1;
      this.written[block] = 1;
    } else if (wasWritten) {
      this.checked++;
      const expected = stamp(block);
      if (!job.buffer.read(0, expected.length).every((byte, at) => byte === expected[at])) this.wrong++;
    }
    this.done++;
    this.byCpu.set(job.cpu, (this.byCpu.get(job.cpu) ?? 0) + 1);
  }

  result(): Pick<LoadPhase, 'reads' | 'writes' | 'checked' | 'wrong'> {
    const of = (kind: number): Latencies | null => summary(this.latencies.filter((_, i) => this.isWrite[i] === kind));
    return { reads: of(0), writes: of(1), checked: this.checked, wrong: this.wrong };
  }

  /** A whole number below `limit`; xorshift, so that a seed gives one sequence everywhere. */
  private draw(limit: number): number {
    let { random } = this;
    random ^= random << 13;
    random ^= random >>> 17;
    random ^= random << 5;
    this.random = random;
    return (random >>> 0) % limit;
  }
}

/** What a written block begins with: its number, twice. */
function stamp(block: number): Uint8Array {
  return new Uint8Array(new Uint32Array([block + 1, ~block]).buffer);
}

function summary(latencies: Float64Array): Latencies | null {
  if (latencies.length === 0) return null;
  latencies.sort();
  const at = (share: number): number => latencies[Math.ceil(share * latencies.length) - 1] as number;
  return {
    operations: latencies.length,
    meanNs: Math.round(latencies.reduce((sum, ns) => sum + ns, 0) / latencies.length),
    p50Ns: at(0.5),
    p90Ns: at(0.9),
    p99Ns: at(0.99),
    p999Ns: at(0.999),
    maxNs: at(1),
  };
}
