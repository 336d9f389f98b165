/**
 * Choosing the path that a bio takes, and forgetting the choice.
 * Kernel counterpart: drivers/nvme/host/multipath.c nvme_find_path and what it calls. [NVMe] 2.4.2.
 *
 * Optimized paths come before others; of equals the policy chooses. Each NUMA node remembers a path of its own.
 */
import { traced } from '@nvme-stack/kernel';
import { NVME_ANA_NONOPTIMIZED, NVME_ANA_OPTIMIZED } from '@nvme-stack/nvme-protocol';
import type { Ctrl } from '../ctrl.js';
import type { Ns } from '../namespace.js';
import type { NsHead } from '../namespace-head.js';
import { NVME_CTRL_CONNECTING, NVME_CTRL_DELETING, NVME_CTRL_LIVE, NVME_CTRL_RESETTING } from '../ports.js';

/** @kernel include/linux/topology.h LOCAL_DISTANCE, REMOTE_DISTANCE */
const LOCAL_DISTANCE = 10;
const REMOTE_DISTANCE = 20;
const NUMA_NO_NODE = -1;

/** Bios may not be sent that way now. DELETING may: what is sent still completes. @kernel drivers/nvme/host/multipath.c nvme_path_is_disabled */
function nvmePathIsDisabled(ns: Ns): boolean {
  const { state } = ns.ctrl;
  return (state !== NVME_CTRL_LIVE && state !== NVME_CTRL_DELETING) || ns.anaPending || !ns.ready;
}

/** @kernel drivers/nvme/host/multipath.c nvme_path_is_optimized */
export function nvmePathIsOptimized(ns: Ns): boolean {
  return ns.ctrl.state === NVME_CTRL_LIVE && ns.anaState === NVME_ANA_OPTIMIZED;
}

/** The NUMA node of the running CPU. @kernel include/linux/topology.h numa_node_id */
function numaNodeId({ kernel }: NsHead): number {
  return kernel.cpuToNode(Math.max(kernel.ex.cpu, 0));
}

function distanceTo(head: NsHead, ns: Ns, node: number): number {
  const { numaNode } = ns.ctrl;
  if (head.subsys.ioPolicy !== 'numa' || numaNode === NUMA_NO_NODE) return LOCAL_DISTANCE;
  return numaNode === node ? LOCAL_DISTANCE : REMOTE_DISTANCE;
}

/** The nearest of the best, which the node remembers; null: none is usable. @kernel drivers/nvme/host/multipath.c __nvme_find_path */
export function nvmeFindPathOf(head: NsHead, node: number): Ns | null {
  let found: Ns | null = null;
  let fallback: Ns | null = null;
  let foundDistance = Number.POSITIVE_INFINITY;
  let fallbackDistance = Number.POSITIVE_INFINITY;
  for (const ns of head.siblings) {
    if (nvmePathIsDisabled(ns)) continue;
    const distance = distanceTo(head, ns, node);
    if (ns.anaState === NVME_ANA_OPTIMIZED && distance < foundDistance) {
      foundDistance = distance;
      found = ns;
    } else if (ns.anaState === NVME_ANA_NONOPTIMIZED && distance < fallbackDistance) {
      fallbackDistance = distance;
      fallback = ns;
    }
  }
  const path = found ?? fallback;
  if (path !== null) head.currentPath[node] = path;
  return path;
}

/** @kernel drivers/nvme/host/multipath.c nvme_numa_path */
function numaPath(head: NsHead): Ns | null {
  const node = numaNodeId(head);
  const ns = head.currentPath[node];
  return ns === null || !nvmePathIsOptimized(ns) ? nvmeFindPathOf(head, node) : ns;
}

/** The next one after the last that was used. @kernel drivers/nvme/host/multipath.c nvme_round_robin_path */
function roundRobinPath(head: NsHead): Ns | null {
  const node = numaNodeId(head);
  const { siblings } = head;
  const old = head.currentPath[node];
  if (old === null) return nvmeFindPathOf(head, node);
  if (siblings.length === 1) return nvmePathIsDisabled(old) ? null : old;
  const start = siblings.indexOf(old);
  let found: Ns | null = null;
  for (let step = 1; step < siblings.length; step++) {
    const ns = siblings[(start + step) % siblings.length];
    if (nvmePathIsDisabled(ns)) continue;
    if (ns.anaState === NVME_ANA_OPTIMIZED) {
      found = ns;
      break;
    }
    if (ns.anaState === NVME_ANA_NONOPTIMIZED) found = ns;
  }
  const better = found !== null && found.anaState === NVME_ANA_OPTIMIZED;
  if (!better && !nvmePathIsDisabled(old)) {
    if (old.anaState === NVME_ANA_OPTIMIZED) return old;
    if (found === null && old.anaState === NVME_ANA_NONOPTIMIZED) return old;
  }
  if (found !== null) head.currentPath[node] = found;
  return found;
}

/** The one whose controller has the least under way. @kernel drivers/nvme/host/multipath.c nvme_queue_depth_path */
function queueDepthPath(head: NsHead): Ns | null {
  let best: Ns | null = null;
  let fallback: Ns | null = null;
  for (const ns of head.siblings) {
    if (nvmePathIsDisabled(ns)) continue;
    const depth = ns.ctrl.nrActive;
    if (ns.anaState === NVME_ANA_OPTIMIZED) {
      if (best === null || depth < best.ctrl.nrActive) best = ns;
      if (depth === 0) return ns;
    } else if (ns.anaState === NVME_ANA_NONOPTIMIZED) {
      if (fallback === null || depth < fallback.ctrl.nrActive) fallback = ns;
    }
  }
  return best ?? fallback;
}

/** Where a bio is to go now; null: nowhere. Any context. @kernel drivers/nvme/host/multipath.c nvme_find_path */
export function nvmeFindPath(head: NsHead): Ns | null {
  switch (head.subsys.ioPolicy) {
    case 'queue-depth':
      return queueDepthPath(head);
    case 'round-robin':
      return roundRobinPath(head);
    default:
      return numaPath(head);
  }
}

/** A path may come back, so that bios can wait for it. Any context. @kernel drivers/nvme/host/multipath.c nvme_available_path */
export function nvmeAvailablePath(head: NsHead): boolean {
  if (!head.diskLive) return false;
  return head.siblings.some(({ ctrl: { state } }) => {
    return state === NVME_CTRL_LIVE || state === NVME_CTRL_RESETTING || state === NVME_CTRL_CONNECTING;
  });
}

/** Nobody goes that way before a path is looked for again; whether somebody did. Any context. @kernel drivers/nvme/host/multipath.c nvme_mpath_clear_current_path */
export const nvmeMpathClearCurrentPath = traced('nvme_mpath_clear_current_path', (ns: Ns): boolean => {
  const { currentPath } = ns.head;
  let changed = false;
  for (let node = 0; node < currentPath.length; node++) {
    if (currentPath[node] !== ns) continue;
    currentPath[node] = null;
    changed = true;
  }
  return changed;
});

/** The same for all namespaces of a controller; bios that wait look for a path again. Any context. @kernel drivers/nvme/host/multipath.c nvme_mpath_clear_ctrl_paths */
export const nvmeMpathClearCtrlPaths = traced('nvme_mpath_clear_ctrl_paths', (ctrl: Ctrl): void => {
  for (const ns of ctrl.namespaces as Ns[]) {
    nvmeMpathClearCurrentPath(ns);
    ctrl.core.blkMq.kblockdScheduleWork(ns.head.requeueWork);
  }
});

/** After a namespace changed: paths of another size are no paths until they are seen anew. Any context. @kernel drivers/nvme/host/multipath.c nvme_mpath_revalidate_paths */
export const nvmeMpathRevalidatePaths = traced('nvme_mpath_revalidate_paths', (ns: Ns): void => {
  const { head } = ns;
  const capacity = head.disk?.capacitySectors ?? 0;
  for (const sibling of head.siblings) if (sibling.disk.capacitySectors !== capacity) sibling.ready = false;
  head.currentPath.fill(null);
  ns.ctrl.core.blkMq.kblockdScheduleWork(head.requeueWork);
});
