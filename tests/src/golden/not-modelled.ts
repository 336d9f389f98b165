/** The closed list of what Linux does and this project does not model, so that its absence is no difference. */
import type { CallLine } from './threads.js';

export interface NotModelled {
  /** A symbol; `*` stands for any characters. */
  readonly symbols: string;
  /** Only where it is called below this function of the capture. */
  readonly below?: string;
  readonly reason: string;
}

export const NOT_MODELLED: readonly NotModelled[] = [
  { symbols: 'nvme_auth_*', reason: 'in-band authentication, of fabrics only' },
  { symbols: 'blk_cgroup_*', reason: 'block cgroups' },
  { symbols: '*wbt*', reason: 'write-back throttling' },
  {
    symbols: 'blk_mq_freeze_queue',
    below: 'device_add_disk',
    reason: 'write-back throttling: it freezes the queue to hook itself in when the disk is added',
  },
  {
    symbols: 'blk_mq_freeze_queue',
    below: '__blk_mq_alloc_disk',
    reason: 'block cgroups: their policies freeze the new queue to hook themselves in',
  },
  { symbols: 'handle_softirqs', reason: "softirq internals; here an unrelated softirq on the captured machine's CPU" },
  { symbols: 'module_address_lookup', reason: 'symbol look-up' },
  { symbols: 'ftrace_*', reason: "tracing's own" },
  { symbols: 'trace_*', reason: "tracing's own" },
];

/** Other work of the captured machine, whose own function is not in the capture's filter. */
export const UNRELATED_WORK = 'process_one_work';
/** What unrelated work does that the filter lets through. */
export const UNRELATED_CALLS: ReadonlyMap<string, string> = new Map([
  ['queue_work_on', 'the work queues another; its function, between the two, is not in the filter'],
]);

/** Why a symbol is not modelled, or null when it is; `below` is its caller in the capture. */
export function notModelledReason(symbol: string, below: string | null): string | null {
  const entry = NOT_MODELLED.find(
    (each) => matches(each.symbols, symbol) && (each.below === undefined || each.below === below),
  );
  return entry?.reason ?? null;
}

function matches(pattern: string, symbol: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(symbol);
}

/** True for a work item of the captured machine that has nothing to do with the run. */
export function isUnrelatedWork(root: CallLine): boolean {
  return (
    root.symbol === UNRELATED_WORK &&
    root.children.every((child) => UNRELATED_CALLS.has(child.symbol) && child.children.length === 0)
  );
}
