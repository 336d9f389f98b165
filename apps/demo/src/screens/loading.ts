/** From insmod over nvme_probe to a live disk, and the sentence that says how nvme_probe is reached. */
import { allCalls, type Call, cutTree, findCall, firstOnly, pathTo, rootOf, taskCalls } from '../call-tree.js';
import { us, type View, wrap } from '../layout.js';
import { LOADING, ONCE } from '../milestones.js';
import type { Loaded } from '../session.js';
import { callHead, callText } from './text.js';

const MARKED = new Set([
  'bus_add_driver',
  'driver_attach',
  'async_schedule_node',
  'nvme_probe',
  'nvme_reset_ctrl',
  'nvme_reset_work',
  'nvme_scan_work',
  'device_add_disk',
]);
/** What leads to the disk, one tree each; a kernel has those whose functions it has. */
const DESTINATIONS = ['nvme_init', 'nvme_probe', 'nvme_setup_io_queues', 'device_add_disk'];

/** The roots of the trees that lead from insmod to a live disk, in the order of their times, each once. */
export function loadingRoots(entries: Loaded['entries']): Call[] {
  const calls = taskCalls(entries);
  const roots = DESTINATIONS.flatMap((symbol) => rootOf(calls, symbol) ?? []);
  return [...new Set(roots)];
}

/** The lines of one of these trees. */
export function loadingTree(root: Call): ReturnType<typeof cutTree> {
  const onTheWay = new Set<Call>(
    ['nvme_probe', 'async_schedule_node', 'device_add_disk'].flatMap((symbol) => pathTo(root, symbol)),
  );
  const hits = new Set([...onTheWay].filter(({ entry }) => entry.symbol === '__driver_attach'));
  const isShown = (call: Call): boolean => {
    const { symbol } = call.entry;
    if (symbol === '__driver_attach') return hits.has(call);
    // Only the driver's own uevent: it is what nvme_probe comes before or after.
    if (symbol === 'kobject_uevent_env') return isDriverEvent(root, call);
    return LOADING[symbol] !== undefined;
  };
  return cutTree(root, firstOnly(ONCE, isShown));
}

/** Called by driver_register itself, not by what it calls. */
function isDriverEvent(root: Call, call: Call): boolean {
  return findCall([root], 'driver_register')?.children.includes(call) ?? false;
}

export function loadingScreen(loaded: Loaded, view: View): string[] {
  const roots = loadingRoots(loaded.entries);
  const remarks = { ...LOADING, kobject_uevent_env: 'KOBJ_ADD of the driver' };
  const trees = roots.flatMap((root) => callText(loadingTree(root), view, remarks, MARKED));
  const sentences = answer(loaded).flatMap((sentence) => wrap(`- ${sentence}`, view.width, '  '));
  return [
    callHead(view),
    ...trees,
    '',
    view.paint.title('How is nvme_probe reached?'),
    ...sentences,
    ...states(loaded, view),
  ];
}

function states({ controllers }: Loaded, { paint }: View): string[] {
  if (controllers.length === 0) return [paint.bad('No controller is there.')];
  return controllers.map(({ name, state }) =>
    state === 'live' ? `${name} is ${paint.good(state)}.` : `${name} is ${paint.bad(state)}.`,
  );
}

/** How nvme_probe is reached, and when: the question that a text about insmod left open. One sentence an element. */
export function answer({ entries, uevents, controllers }: Loaded): string[] {
  const calls = taskCalls(entries);
  const probe = findCall(calls, 'nvme_probe')?.entry;
  const attach = findCall(calls, 'driver_attach')?.entry;
  const added = uevents.find(({ action, devpath }) => action === 'add' && devpath === '/bus/pci/drivers/nvme');
  if (probe === undefined || attach === undefined || added === undefined) {
    return ['nvme_probe is not reached: no device on the bus matches the driver.'];
  }
  const root = rootOf(calls, 'nvme_probe') as Call;
  const gap = added.timeNs - probe.startNs;
  const road =
    findCall([root], 'driver_attach') !== undefined
      ? 'the same thread goes on over'
      : `a worker (${root.entry.task}) is handed the device and goes on over`;
  const live = liveNs(calls);
  const returnedNs = endNs(rootOf(calls, 'nvme_init'));
  const returned = `modprobe returns at ${us(returnedNs)} us`;
  return [
    `driver_register calls bus_add_driver, which calls driver_attach at ${us(attach.startNs)} us: it offers the driver every device on the bus.`,
    `${controllers[0]?.address || 'The controller'} matches; ${road} really_probe, pci_device_probe and local_pci_probe to nvme_probe.`,
    `nvme_probe starts on CPU ${probe.cpu} at ${us(probe.startNs)} us, ${us(Math.abs(gap))} us ${gap > 0 ? 'before' : 'after'} the driver's KOBJ_ADD uevent at ${us(added.timeNs)} us.`,
    live === null
      ? `${returned}; the controller never went LIVE.`
      : `${returned}, ${returnedNs < live ? 'before' : 'after'} the controller went LIVE at ${us(live)} us.`,
  ];
}

/** When the first controller went LIVE: the last change of its state by what set it up; null: it did not. */
export function liveNs(calls: readonly Call[]): number | null {
  const root = rootOf(calls, 'nvme_setup_io_queues');
  const changes = root === undefined ? [] : allCalls(root, 'nvme_change_ctrl_state');
  return changes.at(-1)?.entry.startNs ?? null;
}

/** When a call was over. */
export function endNs(call: Call | undefined): number {
  return call === undefined ? 0 : call.entry.startNs + call.entry.durationNs;
}
