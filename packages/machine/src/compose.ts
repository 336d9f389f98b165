/**
 * The composition root: makes every subsystem of a machine and hands each the ports it needs. Any of them may come
 * from `parts` instead.
 */
import { createBlkMq } from '@nvme-stack/blk-mq';
import { createDeviceCore } from '@nvme-stack/device-core';
import { createIrqs } from '@nvme-stack/irq';
import { createKernel, createPhysicalMemory, type FrontDoor } from '@nvme-stack/kernel';
import { createModules } from '@nvme-stack/modules';
import { createNvmeController } from '@nvme-stack/nvme-controller';
import type { BlockStore, FaultPlan } from '@nvme-stack/nvme-controller/ports';
import { createNvmeCore } from '@nvme-stack/nvme-core';
import { createNvmePciDriver } from '@nvme-stack/nvme-pci-driver';
import { createPciBus } from '@nvme-stack/pci-bus';
import type { PciFunction } from '@nvme-stack/pci-function';
import { createPlatformSim } from '@nvme-stack/platform-sim';
import { createWorkqueues } from '@nvme-stack/workqueue';
import { type MachineNvme, type ResolvedMachine, resolveNamespace } from './description.js';
import { withProperties } from './device-properties.js';
import { hostLoop } from './host-loop.js';
import { provideNvmeModules } from './nvme-modules.js';
import type { MachineOptions, MachineParts, Subsystems } from './ports.js';
import { type Arena, createArena, laterMedia, type NamespacePlan } from './stores.js';
import { checkVfPlaces } from './vf-places.js';

/** First PCI device number given to a controller that names none. */
const FIRST_NVME_SLOT = 3;

/** A machine's parts before it has booted. */
export interface Composition {
  readonly subsystems: Subsystems;
  readonly door: FrontDoor;
  /** Makes another controller, for a slot of the running machine. */
  makeController(nvme: MachineNvme): PciFunction;
}

/** Puts a machine together; nothing of it has run yet. Throws a RangeError for what a controller refuses. */
export function compose(description: ResolvedMachine, options: MachineOptions): Composition {
  const parts = options.parts ?? {};
  const { board } = parts;
  // An external board has its controllers already.
  const nvme =
    board === undefined
      ? description.nvme.map((one, index) => withSerial(withProperties(one, `machine.nvme[${index}]`), index))
      : [];
  checkVfPlaces(nvme, placeControllers(nvme));
  const plans = nvme.map(planNamespaces);
  const arena = createArena(description.memoryMiB << 20, plans, parts, () => kernel.ex);
  const { kernel, door } = (parts.kernel ?? createKernel)({
    host: board?.host(hostLoop) ?? hostLoop,
    ...(board === undefined ? {} : { clock: board.clock, costs: board.costs }),
    profile: description.profile,
    nrCpus: description.cpus,
    nrNodes: description.numaNodes,
    seed: description.seed,
    interleave: description.interleave,
    checks: description.checks,
    trace: description.trace,
    bootTimeMs: description.bootTimeMs,
    strict: description.strict,
    memory: (live, onBug) =>
      createPhysicalMemory({
        sizeBytes: arena.ramBytes,
        nrNodes: description.numaNodes,
        live,
        onBug,
        bytes: arena.bytes,
      }),
  });
  const workqueues = (parts.workqueue ?? createWorkqueues)({ kernel });
  const irqs = (parts.irq ?? createIrqs)({ kernel });
  const deviceCore = (parts.deviceCore ?? createDeviceCore)({ kernel, workqueues });
  const modules = (parts.modules ?? createModules)({ kernel, deviceCore, workqueues });
  const pciBus = (parts.pciBus ?? createPciBus)({ kernel, deviceCore, irqs, workqueues });
  const blkMq = (parts.blkMq ?? createBlkMq)({ kernel, deviceCore, workqueues, irqs });
  const nvmeCore = (parts.nvmeCore ?? createNvmeCore)({ kernel, blkMq, deviceCore, workqueues });
  const nvmePciDriver = (parts.nvmePciDriver ?? createNvmePciDriver)({
    kernel,
    nvmeCore,
    pciBus,
    blkMq,
    deviceCore,
    irqs,
    workqueues,
  });
  const chipset = description.pci === 'q35' ? 'q35' : 'none';
  const slots = placeControllers(nvme, chipset).map((slot, index) => ({
    slot,
    function: makeController(
      nvme[index] as MachineNvme,
      index,
      plans[index],
      arena,
      parts,
      options.faultPlans?.[index],
    ),
  }));
  const platform =
    board?.platform({ kernel, irqs }) ??
    (parts.platform ?? createPlatformSim)({
      kernel,
      irqs,
      slots,
      chipset,
      rootPorts: [],
      numaNode: description.numaNode,
      moveInRam: arena.move,
    });
  board?.onFailure((reason) => door.close(reason));
  provideNvmeModules(modules, nvmeCore, nvmePciDriver);
  const subsystems: Subsystems = {
    kernel,
    workqueues,
    irqs,
    deviceCore,
    modules,
    pciBus,
    blkMq,
    nvmeCore,
    nvmePciDriver,
    platform,
  };
  let controllers = description.nvme.length;
  return {
    subsystems,
    door,
    makeController: (plugged) => {
      const one = withSerial(withProperties(plugged, 'machine.plug'), controllers);
      const plan = planNamespaces(one);
      const media = laterMedia(controllers, plan, parts, () => kernel.ex);
      return makeController(one, controllers++, plan, media, parts, undefined);
    },
  };
}

/** Controllers with one serial number are one subsystem, and Linux refuses its second: each has a number of its own. */
function withSerial(nvme: MachineNvme, index: number): MachineNvme {
  return index === 0 || nvme.serial !== undefined ? nvme : { ...nvme, serial: `nvme-stack-${index + 1}` };
}

/** Namespaces with their ids and sizes, and the images that `parts.blockStore` opens. */
function planNamespaces(nvme: MachineNvme): NamespacePlan {
  const used = new Set<number>();
  const namespaces = (nvme.namespaces ?? []).map((namespace) => {
    let nsid = namespace.nsid ?? 1;
    while (namespace.nsid === undefined && used.has(nsid)) nsid++;
    used.add(nsid);
    return { ...resolveNamespace(namespace), nsid };
  });
  return { namespaces, files: (nvme.namespaces ?? []).map((namespace) => namespace.file ?? null) };
}

/** The slot of each controller. Throws a RangeError for a slot named twice, or one of the chipset's. */
export function placeControllers(controllers: readonly MachineNvme[], chipset: 'q35' | 'none' = 'none'): number[] {
  const slots = controllers.map(({ slot }) => slot);
  const taken = new Set(slots);
  let next = FIRST_NVME_SLOT;
  return controllers.map((nvme, index) => {
    if (nvme.slot !== undefined) {
      if (chipset === 'q35' && nvme.slot < FIRST_NVME_SLOT) {
        throw new RangeError(
          `machine.nvme[${index}].slot is ${nvme.slot}; allowed are ${FIRST_NVME_SLOT} to 30, those before are the chipset's`,
        );
      }
      const other = slots.indexOf(nvme.slot);
      if (other === index) return nvme.slot;
      throw new RangeError(
        `machine.nvme[${index}].slot is ${nvme.slot}; allowed is one that nvme[${other}] does not have`,
      );
    }
    while (taken.has(next)) next++;
    taken.add(next);
    return next;
  });
}

function makeController(
  nvme: MachineNvme,
  index: number,
  plan: NamespacePlan | undefined,
  media: Pick<Arena, 'store'> & Partial<Pick<Arena, 'scratch'>>,
  parts: MachineParts,
  faults: FaultPlan | undefined,
): PciFunction {
  const { slot, namespaces, ...rest } = nvme;
  return (parts.controller ?? createNvmeController)(
    { ...rest, namespaces: plan?.namespaces ?? [] },
    {
      createStore: (nsid: number): BlockStore | undefined => media.store(index, nsid),
      ...(media.scratch === undefined ? {} : { scratch: media.scratch(index) }),
      ...(faults === undefined ? {} : { faults }),
    },
  );
}
