/**
 * Running driver-private requests.
 * Kernel counterpart: block/blk-mq.c (blk_execute_rq, blk_execute_rq_nowait).
 */
import { Completion, complete, cpuRelax, traced, waitForCompletion } from '@nvme-stack/kernel';
import { CompBatch } from './complete-remote.js';
import { insertRequest, runHwQueue } from './dispatch.js';
import { flushBeforeSleep } from './plug.js';
import { BLK_STS_OK, type BlkStatus, HCTX_TYPE_POLL, type Request, RQ_END_IO_NONE, type RqEndIoRet } from './ports.js';
import type { RequestImpl } from './request.js';

/** @kernel block/blk-mq.c blk_rq_wait */
class RqWait {
  readonly done: Completion;
  status: BlkStatus = BLK_STS_OK;

  constructor(rq: RequestImpl) {
    this.done = new Completion(rq.q.kernel, 'blk_execute_rq');
  }
}

/** @kernel block/blk-mq.c blk_end_sync_rq */
function endSyncRq(rq: Request, status: BlkStatus): RqEndIoRet {
  const wait = rq.endIoData as RqWait;
  wait.status = status;
  complete(wait.done);
  return RQ_END_IO_NONE;
}

/** Runs the request and waits for its end; the caller frees it. Task context. */
export async function executeRq(rq: RequestImpl, atHead: boolean): Promise<BlkStatus> {
  return await tracedExecute(new Execution(rq), atHead);
}

/** What leads a traced function from a request to its kernel. */
class Execution {
  readonly rq: RequestImpl;

  constructor(rq: RequestImpl) {
    this.rq = rq;
  }

  get kernel() {
    return this.rq.q.kernel;
  }
}

/** @kernel block/blk-mq.c blk_execute_rq */
const tracedExecute = traced('blk_execute_rq', async ({ rq }: Execution, atHead: boolean): Promise<BlkStatus> => {
  const { blk } = rq.q;
  const wait = new RqWait(rq);
  rq.endIoData = wait;
  rq.endIo = endSyncRq;
  insertAndRun(rq, atHead);
  flushBeforeSleep(blk);
  if (rq.mqHctx.type === HCTX_TYPE_POLL) await pollUntilDone(rq, wait);
  await waitForCompletion(wait.done);
  return wait.status;
});

/** Polled queues have no interrupt. @kernel block/blk-mq.c blk_rq_poll_completion */
async function pollUntilDone(rq: RequestImpl, wait: RqWait): Promise<void> {
  const { ops } = rq.q.tagSet;
  const hctx = rq.mqHctx;
  const batch = new CompBatch();
  while (wait.done.done === 0) {
    ops.poll?.(hctx, batch, rq.tag);
    if (batch.first !== null) batch.complete?.(batch);
    if (wait.done.done === 0) await cpuRelax(rq.q);
  }
}

/** `rq.endIo` tells the end. Any context. @kernel block/blk-mq.c blk_execute_rq_nowait */
export function executeRqNowait(rq: RequestImpl, atHead: boolean): void {
  const { trace } = rq.q.blk;
  if (trace.functions) trace.enter('blk_execute_rq_nowait');
  insertAndRun(rq, atHead);
  if (trace.functions) trace.exit();
}

function insertAndRun(rq: RequestImpl, atHead: boolean): void {
  const { blk } = rq.q;
  const { trace } = blk;
  const hctx = rq.mqHctx;
  if (trace.functions) trace.enter('blk_mq_sched_insert_request');
  insertRequest(blk, rq, atHead);
  runHwQueue(hctx, false);
  if (trace.functions) trace.exit();
}
