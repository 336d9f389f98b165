/**
 * The composition root: makes every subsystem of a machine and hands each the ports it needs. Any of them may come
 * from `parts` instead.
 */
import { createBlkMq } from '@nvme-stack/blk-mq';
import { createDeviceCore, createDmi } from '@nvme-stack/device-core';
import { createIrqs } from '@nvme-stack/irq';
import { createKernel, createPhysicalMemory, type FrontDoor } from '@nvme-stack/kernel';
import { createModules } from '@nvme-stack/modules';
import { createNvmeController } from '@nvme-stack/nvme-controller';
import type { BlockStore, FaultPlan, NvmeController } from '@nvme-stack/nvme-controller/ports';
import { createNvmeCore } from '@nvme-stack/nvme-core';
import { createNvmePciDriver } from '@nvme-stack/nvme-pci-driver';
import { createPciBus } from '@nvme-stack/pci-bus';
import type { PciFunction } from '@nvme-stack/pci-function';
import { createPlatformSim, PlainFunction } from '@nvme-stack/platform-sim';
import type { SlotDescription } from '@nvme-stack/platform-sim/ports';
import { createWorkqueues } from '@nvme-stack/workqueue';
import { type MachineNvme, type ResolvedMachine, resolveNamespace } from './description.js';
import { withProperties } from './device-properties.js';
import { hostLoop } from './host-loop.js';
import { provideNvmeModules } from './nvme-modules.js';
import type { MachineFunction } from './pci-description.js';
import { type Places, planPlaces } from './places.js';
import type { ExternalBoard, MachineOptions, MachineParts, Subsystems } from './ports.js';
import { checkSharing, prepareSharing } from './shared-subsystem.js';
import { type Arena, createArena, laterMedia, type NamespacePlan } from './stores.js';
import { checkVfPlaces } from './vf-places.js';

/** A machine's parts before it has booted. */
export interface Composition {
  readonly subsystems: Subsystems;
  readonly door: FrontDoor;
  /** Where the devices are, when they are not in this process. */
  readonly board: ExternalBoard | null;
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
      ? prepareSharing(description.nvme).map((one, index) =>
          withSerial(withProperties(one, `machine.nvme[${index}]`), index),
        )
      : [];
  const chipset = description.pci === 'q35' ? 'q35' : 'none';
  const rootPorts = board === undefined ? description.rootPorts : [];
  const functions = board === undefined ? description.functions : [];
  const places = planPlaces({ nvme, rootPorts, functions }, chipset);
  checkVfPlaces(nvme, places, rootPorts);
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
  const dmi = createDmi({ kernel, deviceCore }, description.dmi);
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
    dmi,
  });
  const made: PciFunction[] = [];
  const controllers = places.nvme.map((place, index) => {
    const one = nvme[index] as MachineNvme;
    const faults = options.faultPlans?.[index];
    const controller = makeController(one, { index, plan: plans[index], media: arena, parts, faults, made });
    made.push(controller);
    return { ...place, function: controller };
  });
  const platform =
    board?.platform({ kernel, irqs }) ??
    (parts.platform ?? createPlatformSim)({
      kernel,
      irqs,
      slots: [...controllers, ...plainFunctions(functions, places)],
      chipset,
      rootPorts,
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
    dmi,
    modules,
    pciBus,
    blkMq,
    nvmeCore,
    nvmePciDriver,
    platform,
  };
  let count = description.nvme.length;
  return {
    subsystems,
    door,
    board: board ?? null,
    makeController: (plugged) => {
      checkSharing(plugged, 'machine.plug', made.length);
      const one = withSerial(withProperties(plugged, 'machine.plug'), count);
      const plan = planNamespaces(one);
      const media = laterMedia(count, plan, parts, () => kernel.ex);
      return makeController(one, { index: count++, plan, media, parts, faults: undefined, made });
    },
  };
}

/** Controllers with one serial number are one subsystem, and Linux refuses its second: each has a number of its own. */
function withSerial(nvme: MachineNvme, index: number): MachineNvme {
  const isNamed = nvme.serial !== undefined || nvme.sharesWith !== undefined;
  return index === 0 || isNamed ? nvme : { ...nvme, serial: `nvme-stack-${index + 1}` };
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

/** The functions that only stand there. */
function plainFunctions(functions: readonly MachineFunction[], places: Places): SlotDescription[] {
  return places.functions.map((place, index) => {
    const { slot, port, memoryKiB, revisionId = 0, ...identity } = functions[index] as MachineFunction;
    const bars = memoryKiB === undefined ? [] : [{ index: 0, sizeBytes: memoryKiB * 1024 }];
    return { ...place, function: new PlainFunction({ ...identity, revisionId }, bars) };
  });
}

/** What a controller is made with. */
interface Making {
  readonly index: number;
  readonly plan: NamespacePlan | undefined;
  readonly media: Pick<Arena, 'store'> & Partial<Pick<Arena, 'scratch'>>;
  readonly parts: MachineParts;
  readonly faults: FaultPlan | undefined;
  /** Those of the description that were made already, by index. */
  readonly made: readonly PciFunction[];
}

function makeController(nvme: MachineNvme, { index, plan, media, parts, faults, made }: Making): PciFunction {
  const { slot, port, namespaces, sharesWith, ...rest } = nvme;
  const peer = sharesWith === undefined ? undefined : (made[sharesWith] as NvmeController);
  return (parts.controller ?? createNvmeController)(
    { ...rest, ...(port === undefined ? {} : { behindPort: true }), namespaces: plan?.namespaces ?? [] },
    {
      createStore: (nsid: number): BlockStore | undefined => media.store(index, nsid),
      ...(media.scratch === undefined ? {} : { scratch: media.scratch(index) }),
      ...(faults === undefined ? {} : { faults }),
      ...(peer === undefined ? {} : { peer }),
    },
  );
}
