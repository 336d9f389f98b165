/** From insmod to a live disk: how nvme_probe is reached, what it does, and how the disk appears. */
import { type Call, callLines, findCall, rootOf, taskCalls } from '../call-tree.js';
import type { Paint } from '../paint.js';
import type { Demo } from '../run.js';
import { callHeader, callText, us } from './text.js';

/** What probe calls is shown so many levels deep. */
const PROBE_LEVELS = 2;
const CHAIN = new Set([
  'bus_add_driver',
  'driver_attach',
  '__async_schedule_node_domain',
  'async_run_entry_fn',
  'really_probe',
  'nvme_probe',
  'device_add_disk',
]);
/** Where the tree of the scan is cut: these show what they call. */
const SCAN = new Set(['process_one_work', 'async_run_entry_fn', 'nvme_scan_ns_async', 'nvme_scan_ns', 'nvme_alloc_ns']);

export function probeScreen(demo: Demo, paint: Paint): string[] {
  const calls = taskCalls(demo.insmod);
  const show = (root: Call | undefined, open: (symbol: string, depth: number) => boolean): string[] =>
    root === undefined ? [] : callText(callLines(root, open), paint, CHAIN);
  const insmod = rootOf(calls, 'nvme_init');
  const worker = rootOf(calls, 'nvme_probe');
  const scan = rootOf(calls, 'device_add_disk');
  return [
    paint.title('# modprobe nvme: how nvme_probe is reached'),
    callHeader(paint),
    ...show(insmod, () => true),
    ...order(demo, worker),
    '',
    paint.title('# the asynchronous worker: nvme_probe'),
    callHeader(paint),
    ...show(worker, withinProbe(worker)),
    '',
    paint.title('# the scan: the disk appears'),
    callHeader(paint),
    ...show(scan, (symbol) => SCAN.has(symbol)),
    `nvme0 is ${demo.state}.`,
  ];
}

/** Everything on the way to nvme_probe, then some levels of it, and nothing of what comes behind. */
function withinProbe(worker: Call | undefined): (symbol: string, depth: number) => boolean {
  const path = new Map<number, string>();
  for (let call = worker, depth = 0; call !== undefined; depth++) {
    path.set(depth, call.entry.symbol);
    if (call.entry.symbol === 'nvme_probe') break;
    call = call.children.find((child) => findCall([child], 'nvme_probe') !== undefined);
  }
  const probeDepth = path.size - 1;
  return (symbol, depth) =>
    path.get(depth) === symbol || (depth > probeDepth && depth < probeDepth + PROBE_LEVELS && OPENED.has(symbol));
}

/** What nvme_probe calls that is worth opening. */
const OPENED = new Set(['nvme_pci_enable', 'nvme_init_ctrl_finish', 'nvme_setup_io_queues', 'nvme_start_ctrl']);

/** In which order the probe and the driver's KOBJ_ADD came. */
function order({ insmod, uevents }: Demo, worker: Call | undefined): string[] {
  const at = (symbol: string): number | undefined =>
    insmod.find((entry) => entry.kind === 'function' && entry.symbol === symbol)?.startNs;
  const attach = at('driver_attach');
  const probe = findCall(worker === undefined ? [] : [worker], 'nvme_probe')?.entry;
  const added = uevents.find(({ action, devpath }) => action === 'add' && devpath === '/bus/pci/drivers/nvme');
  if (attach === undefined || probe === undefined || added === undefined) return [];
  const gap = added.timeNs - probe.startNs;
  return [
    `bus_add_driver has driver_attach hand the device to a worker at ${us(attach)} us, before the driver's KOBJ_ADD uevent`,
    `at ${us(added.timeNs)} us. nvme_probe itself starts on CPU ${probe.cpu} at ${us(probe.startNs)} us, ${us(Math.abs(gap))} us ${gap > 0 ? 'before' : 'after'} that uevent.`,
  ];
}
