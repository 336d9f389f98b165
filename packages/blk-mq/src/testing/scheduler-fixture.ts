/** What a case of the schedulers' contract is given, made from a request queue: of a running machine, or of a test. */
import { sleepNs } from '@nvme-stack/kernel';
import type { IoSchedulerType, Request, RequestQueue } from '../ports.js';
import type { SchedulerFixture } from './scheduler-contract.js';

/**
 * A fresh scheduler of `type` beside the one that `queue` uses, with the hardware queues of `queue`, which notice nothing.
 * Requests are so much of one as schedulers look at. Run the case in a task: time passes in it.
 */
export function schedulerFixture(type: IoSchedulerType, queue: RequestQueue): SchedulerFixture {
  return {
    scheduler: type.create(queue),
    hctxs: queue.hctxs,
    request: (mqHctx, cmdFlags, sector, sectors) => {
      const seen = { mqHctx, cmdFlags, sector, dataLengthBytes: sectors * 512, next: null, fifoTimeNs: 0 };
      return seen as unknown as Request;
    },
    advance: async (ns) => {
      await sleepNs(queue.kernel, ns);
    },
  };
}
