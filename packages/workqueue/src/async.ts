/**
 * Asynchronous function calls: each has a cookie, in order of scheduling, runs in a worker of the unbound queue, and
 * somebody may wait until all calls up to a cookie, of one domain or of every domain, are done.
 * Kernel counterpart: kernel/async.c.
 */
import { type HasKernel, type Kernel, traced, WaitQueue, waitEvent, wakeUpAll } from '@nvme-stack/kernel';
import { type AsyncDomain, WORK_CPU_UNBOUND } from './ports.js';
import { insertWork, markPending } from './queue.js';
import type { WorkqueueSystem } from './system.js';
import { Work } from './work.js';
import type { Workqueue } from './workqueue.js';

/** @kernel kernel/async.c async_entry */
class AsyncEntry implements HasKernel {
  readonly kernel: Kernel;
  readonly calls: AsyncCalls;
  readonly cookie: number;
  readonly domain: AsyncDomainList;
  readonly fn: (arg: unknown) => Promise<void>;
  readonly arg: unknown;

  constructor(calls: AsyncCalls, domain: AsyncDomainList, fn: (arg: unknown) => Promise<void>, arg: unknown) {
    this.kernel = calls.kernel;
    this.calls = calls;
    this.cookie = calls.nextCookie++;
    this.domain = domain;
    this.fn = fn;
    this.arg = arg;
  }
}

/** @kernel include/linux/async.h async_domain */
export class AsyncDomainList implements AsyncDomain {
  /** Calls that are not done, in order of their cookies. */
  readonly entries: AsyncEntry[] = [];

  get pending(): number {
    return this.entries.length;
  }
}

/** What a caller asks for. */
export interface AsyncCall {
  readonly fn: (arg: unknown) => Promise<void>;
  readonly arg: unknown;
  readonly domain: AsyncDomainList;
  /** -1: the caller's. */
  readonly node: number;
}

/** One machine's asynchronous calls. */
export class AsyncCalls implements HasKernel {
  readonly kernel: Kernel;
  readonly system: WorkqueueSystem;
  readonly wq: Workqueue;
  nextCookie = 1;
  /** Calls of every domain that are not done, in order of their cookies. */
  readonly all = new AsyncDomainList();
  readonly defaultDomain = new AsyncDomainList();
  readonly done: WaitQueue;

  constructor(system: WorkqueueSystem, wq: Workqueue) {
    this.kernel = system.kernel;
    this.system = system;
    this.wq = wq;
    this.done = new WaitQueue(system.kernel, 'asynchronous calls');
  }
}

const makeAndQueue = traced('__async_schedule_node_domain', (calls: AsyncCalls, call: AsyncCall): number => {
  const { system } = calls;
  const entry = new AsyncEntry(calls, call.domain, call.fn, call.arg);
  call.domain.entries.push(entry);
  calls.all.entries.push(entry);
  const work = new Work(system, 'async_run_entry_fn', entry, runEntryWork);
  if (markPending(work)) insertWork(system, calls.wq, work, WORK_CPU_UNBOUND, call.node);
  return entry.cookie;
});

/** Returns the call's cookie. @kernel kernel/async.c async_schedule_node_domain */
export const asyncScheduleNodeDomain = traced(
  'async_schedule_node_domain',
  (calls: AsyncCalls, call: AsyncCall): number => makeAndQueue(calls, call),
);

/** @kernel kernel/async.c async_schedule_node */
export const asyncScheduleNode = traced('async_schedule_node', (calls: AsyncCalls, call: AsyncCall): number =>
  asyncScheduleNodeDomain(calls, call),
);

function runEntryWork(entry: unknown): Promise<void> {
  return runEntry(entry as AsyncEntry);
}

/** @kernel kernel/async.c async_run_entry_fn */
const runEntry = traced('async_run_entry_fn', async (entry: AsyncEntry): Promise<void> => {
  await entry.fn(entry.arg);
  const { all, done } = entry.calls;
  all.entries.splice(all.entries.indexOf(entry), 1);
  entry.domain.entries.splice(entry.domain.entries.indexOf(entry), 1);
  wakeUpAll(done);
});

/** Waits until no call of the domain with a cookie below `cookie` is left. Task context. @kernel kernel/async.c async_synchronize_cookie_domain */
export const asyncSynchronizeCookieDomain = traced(
  'async_synchronize_cookie_domain',
  (calls: AsyncCalls, cookie: number, domain: AsyncDomainList): Promise<void> =>
    waitEvent(calls.done, () => domain.entries.length === 0 || domain.entries[0].cookie >= cookie),
);

/** @kernel kernel/async.c async_synchronize_full */
export const asyncSynchronizeFull = traced(
  'async_synchronize_full',
  (calls: AsyncCalls): Promise<void> => asyncSynchronizeCookieDomain(calls, Number.POSITIVE_INFINITY, calls.all),
);

/** @kernel kernel/async.c async_synchronize_full_domain */
export const asyncSynchronizeFullDomain = traced(
  'async_synchronize_full_domain',
  (calls: AsyncCalls, domain: AsyncDomainList): Promise<void> =>
    asyncSynchronizeCookieDomain(calls, Number.POSITIVE_INFINITY, domain),
);
