// A primary controller's virtual functions: they come and go with VF Enable, and each is a secondary controller.
// Kernel counterpart: what drivers/pci/iov.c sriov_enable, sriov_disable bring about. Spec: [SR-IOV] 1.1 §3.3.3, [NVMe] 2.0 §8.26.
import type { PciFunction } from '@nvme-stack/pci-function';
import type { ControllerState } from '../controller-state.js';
import { resetQueues } from '../reset.js';
import type { SecondaryController, VirtualResources } from './resources.js';
import { followPrimary } from './secondary.js';

/** A virtual function as a device. */
export interface VirtualFunction extends PciFunction {
  readonly state: ControllerState;
}

export class VirtualFunctions {
  readonly #primary: ControllerState;
  readonly #make: (secondary: SecondaryController) => VirtualFunction;
  #present: readonly VirtualFunction[] = [];

  /** `make` builds the function of a secondary controller, which is offline. */
  constructor(primary: ControllerState, make: (secondary: SecondaryController) => VirtualFunction) {
    this.#primary = primary;
    this.#make = make;
  }

  /** Those there are, in order; the same list until that changes. */
  get present(): readonly VirtualFunction[] {
    return this.#present;
  }

  /** Whether a secondary controller has its function. */
  has(secondary: SecondaryController): boolean {
    return secondary.vfNumber <= this.#present.length;
  }

  /** VF Enable was set, with `count` functions, or cleared. */
  enable(count: number): void {
    this.removeAll();
    const { resources, subsystem, description } = this.#primary;
    const secondaries = resources.secondaries.slice(0, count);
    this.#present = secondaries.map((secondary) => this.#make(secondary));
    for (const { state } of this.#present) subsystem.push(state);
    if (!description.sriov?.vfsOnline) return;
    for (const secondary of secondaries) {
      resources.provide(secondary);
      if (secondary.isProvided) this.setOnline(secondary);
    }
  }

  /** Puts a secondary controller online that has its function and what it needs. */
  setOnline(secondary: SecondaryController): void {
    if (secondary.online) return;
    secondary.online = true;
    this.#follow(secondary);
  }

  /** Puts a secondary controller offline; it gives back what it had. */
  setOffline(secondary: SecondaryController): void {
    this.#resources.release(secondary);
    if (!secondary.online) return;
    secondary.online = false;
    this.#follow(secondary);
  }

  /** The primary controller was reset: no secondary controller outlasts that. */
  setAllOffline(): void {
    for (const secondary of this.#resources.secondaries) this.setOffline(secondary);
  }

  /** VF Enable was cleared, or the physical function is gone: the functions answer no more. */
  removeAll(): void {
    const { subsystem } = this.#primary;
    this.#present.forEach(({ state }, i) => {
      this.setOffline(this.#resources.secondaries[i] as SecondaryController);
      resetQueues(state);
      state.isGone = true;
      subsystem.splice(subsystem.indexOf(state), 1);
    });
    this.#present = [];
  }

  get #resources(): VirtualResources {
    return this.#primary.resources;
  }

  #follow(secondary: SecondaryController): void {
    const fn = this.#present[secondary.vfNumber - 1];
    if (fn !== undefined) followPrimary(fn.state, secondary);
  }
}
