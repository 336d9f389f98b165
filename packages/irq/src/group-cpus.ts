/**
 * CPUs in groups: as even as possible, and no group across NUMA nodes as long as there are enough groups.
 * Kernel counterpart: lib/group_cpus.c.
 */
import type { Kernel } from '@nvme-stack/kernel';

/** `groups` lists of CPUs; each CPU is in exactly one, and lists are empty only when there are more than CPUs. @kernel lib/group_cpus.c group_cpus_evenly */
export function groupCpusEvenly(kernel: Kernel, groups: number): number[][] {
  const result: number[][] = Array.from({ length: Math.max(groups, 0) }, () => []);
  if (groups <= 0) return result;
  const nodes = cpusByNode(kernel);
  if (groups <= nodes.length) {
    nodes.forEach((cpus, n) => {
      result[n % groups].push(...cpus);
    });
    return result;
  }
  let next = 0;
  groupsByNode(nodes, Math.min(groups, kernel.nrCpus)).forEach((count, n) => {
    for (const group of splitEvenly(nodes[n], count)) result[next++] = group;
  });
  return result;
}

/** CPUs of each node that has any. */
function cpusByNode(kernel: Kernel): number[][] {
  const nodes: number[][] = Array.from({ length: kernel.nrNodes }, () => []);
  for (let cpu = 0; cpu < kernel.nrCpus; cpu++) nodes[kernel.cpuToNode(cpu)].push(cpu);
  return nodes.filter((cpus) => cpus.length > 0);
}

/** Shares `groups` among the nodes by their CPUs, small nodes first so that each gets at least one. @kernel lib/group_cpus.c alloc_nodes_groups */
function groupsByNode(nodes: readonly number[][], groups: number): number[] {
  const shares = nodes.map(() => 0);
  const order = nodes.map((_, n) => n).sort((a, b) => nodes[a].length - nodes[b].length || a - b);
  let groupsLeft = groups;
  let cpusLeft = nodes.reduce((sum, cpus) => sum + cpus.length, 0);
  for (const n of order) {
    const cpus = nodes[n].length;
    shares[n] = Math.max(1, Math.floor((groupsLeft * cpus) / cpusLeft));
    groupsLeft -= shares[n];
    cpusLeft -= cpus;
  }
  return shares;
}

/** Consecutive CPUs; the first groups get one more when it does not come out even. */
function splitEvenly(cpus: readonly number[], count: number): number[][] {
  const size = Math.floor(cpus.length / count);
  const larger = cpus.length - size * count;
  const groups: number[][] = [];
  let at = 0;
  for (let n = 0; n < count; n++) {
    const end = at + size + (n < larger ? 1 : 0);
    groups.push(cpus.slice(at, end));
    at = end;
  }
  return groups;
}
