/**
 * What any I/O scheduler must do, as cases a test runner can run.
 * Each case throws an Error that says what was wrong.
 */
import type { BlkMqHwCtx, IoScheduler, Request } from '../ports.js';
import { REQ_OP_READ, REQ_OP_WRITE } from '../ports.js';

/** What a case is given: a fresh scheduler, hardware queues, and requests that belong to them. */
export interface SchedulerFixture {
  readonly scheduler: IoScheduler;
  readonly hctxs: readonly BlkMqHwCtx[];
  /** A request of `sectors` 512-byte sectors that no other call has returned. */
  request(hctx: BlkMqHwCtx, opf: number, sector: number, sectors: number): Request;
  /** Lets time pass. */
  advance(ns: number): Promise<void>;
}

/** One case of the contract. */
export interface SchedulerCase {
  readonly name: string;
  run(fixture: SchedulerFixture): Promise<void> | void;
}

function check(ok: boolean, what: string): void {
  if (!ok) throw new Error(what);
}

/** Everything the scheduler gives for these hardware queues. */
function drain({ scheduler, hctxs }: SchedulerFixture): Request[] {
  const out: Request[] = [];
  for (const hctx of hctxs) {
    for (let rq = scheduler.dispatch(hctx); rq !== null; rq = scheduler.dispatch(hctx)) out.push(rq);
  }
  return out;
}

/** The contract of `IoScheduler`. */
export const ioSchedulerContract: readonly SchedulerCase[] = [
  {
    name: 'has no work and nothing to dispatch when it is new',
    run: (fixture) => {
      for (const hctx of fixture.hctxs) {
        check(!fixture.scheduler.hasWork(hctx), 'hasWork of an empty scheduler');
        check(fixture.scheduler.dispatch(hctx) === null, 'dispatch of an empty scheduler');
      }
    },
  },
  {
    name: 'gives every request exactly once',
    run: (fixture) => {
      const given = new Set<Request>();
      for (let i = 0; i < 64; i++) {
        const hctx = fixture.hctxs[i % fixture.hctxs.length];
        const rq = fixture.request(hctx, i % 3 === 0 ? REQ_OP_WRITE : REQ_OP_READ, ((i * 37) % 64) * 8, 8);
        fixture.scheduler.insert(hctx, rq, i % 7 === 0);
        given.add(rq);
        check(fixture.scheduler.hasWork(hctx), 'hasWork after insert');
      }
      const out = drain(fixture);
      check(out.length === given.size, `${out.length} requests came out of ${given.size}`);
      check(new Set(out).size === out.length, 'a request came out twice');
      check(
        out.every((rq) => given.has(rq)),
        'a request came out that never went in',
      );
      check(
        fixture.hctxs.every((hctx) => !fixture.scheduler.hasWork(hctx)),
        'hasWork when all has come out',
      );
    },
  },
  {
    name: 'gives what was inserted at the head first',
    run: (fixture) => {
      const [hctx] = fixture.hctxs;
      for (const sector of [0, 8, 16])
        fixture.scheduler.insert(hctx, fixture.request(hctx, REQ_OP_READ, sector, 8), false);
      const urgent = fixture.request(hctx, REQ_OP_WRITE, 800, 8);
      fixture.scheduler.insert(hctx, urgent, true);
      check(fixture.scheduler.dispatch(hctx) === urgent, 'the request at the head did not come first');
      drain(fixture);
    },
  },
  {
    name: 'starves nobody: each request comes out while others keep coming',
    run: async (fixture) => {
      const [hctx] = fixture.hctxs;
      const old = fixture.request(hctx, REQ_OP_WRITE, 100_000, 8);
      fixture.scheduler.insert(hctx, old, false);
      for (let i = 0; i < 400; i++) {
        fixture.scheduler.insert(hctx, fixture.request(hctx, REQ_OP_READ, i * 8, 8), false);
        await fixture.advance(20e6);
        if (fixture.scheduler.dispatch(hctx) === old) {
          drain(fixture);
          return;
        }
      }
      throw new Error('a write waited while 400 reads went by in 8 s');
    },
  },
  {
    name: 'finds a request to merge with only among those it holds',
    run: (fixture) => {
      const { scheduler, hctxs } = fixture;
      const [hctx] = hctxs;
      if (scheduler.findMerge === undefined) return;
      const rq = fixture.request(hctx, REQ_OP_WRITE, 80, 8);
      const bio = { opf: REQ_OP_WRITE, sector: 88, sizeBytes: 4096 } as Parameters<typeof scheduler.findMerge>[1];
      check(scheduler.findMerge(hctx, bio) === null, 'a merge with nothing');
      scheduler.insert(hctx, rq, false);
      check(scheduler.findMerge(hctx, bio) === rq, 'no merge with the request the bio continues');
      check(scheduler.findMerge(hctx, { ...bio, sector: 72 }) === rq, 'no merge with the request the bio comes before');
      check(scheduler.findMerge(hctx, { ...bio, sector: 96 }) === null, 'a merge across a gap');
      check(scheduler.findMerge(hctx, { ...bio, opf: REQ_OP_READ }) === null, 'a merge of a read with a write');
      scheduler.dispatch(hctx);
      check(scheduler.findMerge(hctx, bio) === null, 'a merge with a request that was dispatched');
    },
  },
];
