/** A driver core on a test kernel, and the call tree of what ran on it. */
import type { KernelInstance, KernelOptions, TraceEntry } from '@nvme-stack/kernel';
import { createTestKernel } from '@nvme-stack/kernel/testing';
import { createWorkqueues } from '@nvme-stack/workqueue';
import { createDeviceCore, type DeviceCoreFaults } from '../index.js';
import type { DeviceCore } from '../ports.js';

/** One machine's driver core. */
export interface TestCore extends KernelInstance {
  readonly core: DeviceCore;
  /** Fault points that fail, with their negative errno. */
  readonly faults: Map<string, number>;
  /** Runs a body as a task. */
  run<T>(body: () => Promise<T>): Promise<T>;
  /** The log without time stamps. */
  dmesg(): string[];
}

/** Makes one. */
export function createTestCore(options: Partial<KernelOptions> = {}): TestCore {
  const instance = createTestKernel(options);
  const { kernel, door } = instance;
  const faults = new Map<string, number>();
  const plan: DeviceCoreFaults = { fail: (point) => faults.get(point) ?? 0 };
  const core = createDeviceCore({ kernel, workqueues: createWorkqueues({ kernel }), faults: plan });
  return {
    ...instance,
    core,
    faults,
    run: (body) => door.call('test', body),
    dmesg: () => kernel.printk.lines.map((line) => line.text),
  };
}

/** The call tree below the first entry of `root`, indented by depth. */
export function callTree(entries: readonly TraceEntry[], root: string): string[] {
  const start = entries.findIndex((entry) => entry.kind === 'function' && entry.symbol === root);
  if (start < 0) return [];
  const { pid, depth } = entries[start] as TraceEntry;
  const tree = [root];
  for (const entry of entries.slice(start + 1)) {
    if (entry.kind !== 'function' || entry.pid !== pid) continue;
    if (entry.depth <= depth) break;
    tree.push('  '.repeat(entry.depth - depth) + entry.symbol);
  }
  return tree;
}
