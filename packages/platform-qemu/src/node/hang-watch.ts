/**
 * Ends QEMU when it leaves this process waiting. The wait blocks the process, so a worker thread keeps the time: it
 * sees by a shared counter that the same wait goes on, and ends the guardian, whereupon the wait reads an end.
 */
import { Worker } from 'node:worker_threads';

const WAITS = 0;
const FIRED = 1;
const CELLS = 2;
/** Looks per time-out. */
const LOOKS = 8;

/** Odd: a wait goes on. */
const WORKER = `
const { workerData: { cells, pid, timeoutMs, looks } } = require('node:worker_threads');
let seen = 0, since = 0;
setInterval(() => {
  const waits = Atomics.load(cells, ${WAITS});
  if ((waits & 1) === 0 || waits !== seen) { seen = waits; since = performance.now(); return; }
  if (performance.now() - since < timeoutMs) return;
  Atomics.store(cells, ${FIRED}, 1);
  try { process.kill(pid, 'SIGTERM'); } catch {}
}, Math.max(Math.floor(timeoutMs / looks), 1));
`;

export class HangWatch {
  private readonly cells = new Int32Array(new SharedArrayBuffer(CELLS * Int32Array.BYTES_PER_ELEMENT));
  private readonly timeoutMs: number;
  private readonly worker: Worker;

  /** Watches for waits longer than `timeoutMs`; then the process `pid` is ended. */
  constructor(pid: number, timeoutMs: number) {
    this.timeoutMs = timeoutMs;
    const workerData = { cells: this.cells, pid, timeoutMs, looks: LOOKS };
    this.worker = new Worker(WORKER, { eval: true, workerData });
    this.worker.unref();
  }

  /** A wait begins; a worker that reads an old count looks again later. */
  begin(): void {
    this.cells[WAITS] = (this.cells[WAITS] as number) + 1;
  }

  end(): void {
    this.cells[WAITS] = (this.cells[WAITS] as number) + 1;
  }

  /** The time-out, if it was why the process was ended; else 0. */
  get firedAfterMs(): number {
    return Atomics.load(this.cells, FIRED) === 1 ? this.timeoutMs : 0;
  }

  async stop(): Promise<void> {
    await this.worker.terminate();
  }
}
