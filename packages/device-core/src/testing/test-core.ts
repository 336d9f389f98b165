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

/** Symbols of function entries of one task, indented by depth. */
export function callTree(entries: readonly TraceEntry[], task: string): string[] {
  const mine = entries.filter((entry) => entry.kind === 'function' && entry.task === task);
  const least = mine.reduce((depth, entry) => (entry.depth < depth ? entry.depth : depth), Number.POSITIVE_INFINITY);
  return mine.map((entry) => '  '.repeat(entry.depth - least) + entry.symbol);
}
