/**
 * Managed resources: what a driver's probe acquired is given back when it refuses or is unbound, last acquired first.
 * Kernel counterpart: drivers/base/devres.c.
 */
import { KernelError } from '@nvme-stack/kernel';
import type { DeviceImpl } from './device.js';
import { faultAt } from './state.js';

/** @kernel drivers/base/devres.c devres_node */
export interface DevresNode {
  readonly name: string;
  readonly release: () => Promise<void> | void;
}

/** Throws ENOMEM through the fault plan; then the action has not been registered. @kernel drivers/base/devres.c devm_add_action */
export function devmAddAction(dev: DeviceImpl, name: string, release: () => Promise<void> | void): void {
  faultAt(dev.core, `devm_add_action:${dev.name}/${name}`);
  dev.devres.push({ name, release });
}

/** An action has no way to fail: one that throws is a BUG. @kernel drivers/base/devres.c devres_release_all */
export async function devresReleaseAll(dev: DeviceImpl): Promise<void> {
  for (let node = dev.devres.pop(); node !== undefined; node = dev.devres.pop()) {
    try {
      await node.release();
    } catch (error) {
      if (!KernelError.is(error)) throw error;
      dev.kernel.ex.bug(`devres action ${node.name} of ${dev.name} failed: ${error.message}`);
    }
  }
}
