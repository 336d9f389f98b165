/** A machine's controllers in QEMU's words. What QEMU's device cannot be told is refused with one sentence. */
import type { QemuController, QemuNamespace, QemuOptions, QemuProperties } from '@nvme-stack/platform-qemu/node';
import { placeControllers } from '../compose.js';
import { type MachineNamespace, type MachineNvme, type ResolvedMachine, resolveNamespace } from '../description.js';

/** Bounce pages and rings stand beside what the machine itself has. */
const EXTRA_RAM_MIB = 64;

/** Fields of a controller that are said otherwise, or that QEMU's device has by itself. */
const KNOWN: ReadonlySet<string> = new Set([
  'slot',
  'preset',
  'serial',
  'namespaces',
  'properties',
  'cmb',
  'sriovVfsOnline',
]);
/** Fields of a controller under QEMU's names. */
const CONTROLLER_NAMES: Readonly<Record<string, string>> = {
  mdts: 'mdts',
  maxIoQueuePairs: 'max_ioqpairs',
  msixVectors: 'msix_qsize',
  aerLimit: 'aerl',
  sriovMaxVfs: 'sriov_max_vfs',
  sriovVqFlexible: 'sriov_vq_flexible',
  sriovViFlexible: 'sriov_vi_flexible',
  sriovMaxVqPerVf: 'sriov_max_vq_per_vf',
  sriovMaxViPerVf: 'sriov_max_vi_per_vf',
};
const KNOWN_OF_NAMESPACE: ReadonlySet<string> = new Set(['nsid', 'sizeMiB', 'sizeBytes', 'file', 'readOnly']);
const NAMESPACE_NAMES: Readonly<Record<string, (value: never) => QemuProperties>> = {
  logicalBlockSize: (value: number) => ({ logical_block_size: value, physical_block_size: value }),
  uuid: (value: string) => ({ uuid: value }),
  eui64: (value: string) => ({ eui64: `0x${value}` }),
  attached: (value: boolean) => ({ detached: !value }),
};
/** Properties that only `nvme-ns` has: such a namespace cannot hang on the controller itself. */
const OWN_DEVICE: ReadonlySet<string> = new Set(['uuid', 'eui64', 'detached']);

/** What QEMU is to be started with for a machine; throws RangeError for what it cannot be. */
export function qemuOptions(description: ResolvedMachine): QemuOptions {
  const slots = placeControllers(description.nvme);
  return {
    ramMiB: description.memoryMiB + EXTRA_RAM_MIB,
    controllers: description.nvme.map((nvme, index) => controllerOf(nvme, index, slots[index] as number)),
  };
}

function controllerOf(nvme: MachineNvme, index: number, slot: number): QemuController {
  const path = `machine.nvme[${index}]`;
  const named: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(nvme)) {
    if (KNOWN.has(name) || value === undefined) continue;
    const theirs = CONTROLLER_NAMES[name];
    if (theirs === undefined) throw refused(`${path}.${name}`, [...KNOWN, ...Object.keys(CONTROLLER_NAMES)]);
    named[theirs] = value as number;
  }
  if (nvme.cmb !== undefined && nvme.cmb !== null) {
    named.cmb_size_mb = nvme.cmb.sizeMiB;
    if (nvme.cmb.legacy !== undefined) named['legacy-cmb'] = nvme.cmb.legacy;
  }
  const namespaces = (nvme.namespaces ?? []).map((one, at) => namespaceOf(one, `${path}.namespaces[${at}]`));
  const { serial } = nvme;
  const properties = { ...named, ...nvme.properties };
  const isVirtualized = Number(properties.sriov_max_vfs ?? 0) > 0;
  if (isVirtualized && nvme.properties?.sriov_max_vfs === undefined && nvme.sriovVfsOnline !== false) {
    throw new RangeError(
      `${path}.sriovVfsOnline is not false; allowed with platform "qemu": false, for QEMU leaves it to the host to put virtual functions online`,
    );
  }
  return {
    slot,
    ...(serial === undefined ? {} : { serial }),
    // QEMU's virtual functions see what hangs on the subsystem.
    ...(isVirtualized ? { subsystem: `subsystem${index}` } : {}),
    properties,
    namespaces,
  };
}

function namespaceOf(namespace: MachineNamespace, path: string): QemuNamespace {
  const properties: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(namespace)) {
    if (KNOWN_OF_NAMESPACE.has(name) || value === undefined) continue;
    const theirs = NAMESPACE_NAMES[name];
    if (theirs === undefined)
      throw refused(`${path}.${name}`, [...KNOWN_OF_NAMESPACE, ...Object.keys(NAMESPACE_NAMES)]);
    Object.assign(properties, theirs(value as never));
  }
  const { nsid, file, readOnly } = namespace;
  const ownDevice = Object.keys(properties).some((name) => OWN_DEVICE.has(name));
  return {
    ...(nsid === undefined ? {} : { nsid }),
    ...(file === undefined ? { sizeBytes: resolveNamespace(namespace).sizeBytes } : { file }),
    ...(readOnly === undefined ? {} : { readOnly }),
    ...(ownDevice ? { ownDevice } : {}),
    properties,
  };
}

function refused(field: string, allowed: readonly string[]): RangeError {
  return new RangeError(`${field} is not QEMU's to choose; allowed with platform "qemu": ${allowed.join(', ')}`);
}
