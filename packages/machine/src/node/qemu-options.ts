/** A machine's controllers in QEMU's words. What QEMU's device cannot be told is refused with one sentence. */
import type { QemuController, QemuNamespace, QemuOptions, QemuProperties } from '@nvme-stack/platform-qemu/node';
import type { SlotAddress } from '@nvme-stack/platform-sim/ports';
import { type MachineNamespace, type MachineNvme, type ResolvedMachine, resolveNamespace } from '../description.js';
import type { MachineRootPort } from '../pci-description.js';
import { planPlaces } from '../places.js';

/** Bounce pages and rings stand beside what the machine itself has. */
const EXTRA_RAM_MIB = 64;

/** Fields of a controller that are said otherwise, or that QEMU's device has by itself. */
const KNOWN: ReadonlySet<string> = new Set([
  'slot',
  'port',
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
  metadataBytes: (value: number) => ({ ms: value }),
  metadataExtended: (value: boolean) => ({ mset: value ? 1 : 0 }),
  protectionType: (value: number) => ({ pi: value }),
  protectionFirst: (value: boolean) => ({ pil: value ? 1 : 0 }),
  uuid: (value: string) => ({ uuid: value }),
  eui64: (value: string) => ({ eui64: `0x${value}` }),
  attached: (value: boolean) => ({ detached: !value }),
};
/** Properties of a controller's namespaces that only `nvme-ns` has. */
const METADATA_NAMES: ReadonlySet<string> = new Set(['ms', 'mset', 'pi', 'pil', 'pif']);
/** Properties that only `nvme-ns` has: such a namespace cannot hang on the controller itself. */
const OWN_DEVICE: ReadonlySet<string> = new Set(['uuid', 'eui64', 'detached', ...METADATA_NAMES]);

/** What QEMU is to be started with for a machine; throws RangeError for what it cannot be. */
export function qemuOptions(description: ResolvedMachine): QemuOptions {
  if (description.functions.length > 0) {
    throw new RangeError(
      'machine.functions is not empty; allowed with platform "qemu": none, the board has what QEMU gives it',
    );
  }
  const ports = new Map(
    description.rootPorts.map((port, index) => [portName(checkedPort(port, `machine.rootPorts[${index}]`)), port.slot]),
  );
  const places = planPlaces(description);
  const filled = new Set(places.nvme.map(({ port }) => port));
  const emptyPorts = [...ports].filter(([name]) => !filled.has(name)).map(([, slot]) => slot);
  return {
    ramMiB: description.memoryMiB + EXTRA_RAM_MIB,
    controllers: description.nvme.map((nvme, index) =>
      placedController(nvme, index, places.nvme[index] as SlotAddress, ports),
    ),
    ...(emptyPorts.length === 0 ? {} : { emptyPorts }),
  };
}

const portName = (port: MachineRootPort): string => `port${port.slot}`;

/** QEMU's root ports have their slot's number, a button, and no switch. */
function checkedPort(port: MachineRootPort, path: string): MachineRootPort {
  for (const [name, value] of Object.entries(port)) {
    const isTheirs = name === 'slot' || (name === 'name' && value === portName(port));
    if (isTheirs || value === undefined || (name === 'attentionButton' && value === true)) continue;
    if (name === 'physicalSlot' && value === port.slot) continue;
    throw new RangeError(
      `${path}.${name} is not QEMU's to choose; allowed with platform "qemu": slot, with name ${JSON.stringify(portName(port))}`,
    );
  }
  return port;
}

function placedController(
  nvme: MachineNvme,
  index: number,
  { slot = 0, port }: SlotAddress,
  ports: ReadonlyMap<string, number>,
): QemuController {
  const { isVirtualized, ...controller } = controllerOf(nvme, `machine.nvme[${index}]`);
  return {
    ...(port === undefined ? { slot } : { slot: ports.get(port) ?? 0, behindPort: true }),
    // QEMU's virtual functions see what hangs on the subsystem.
    ...(isVirtualized ? { subsystem: `subsystem${index}` } : {}),
    ...controller,
  };
}

/** A controller in QEMU's words, wherever it stands; `path` names it. Throws RangeError for what QEMU cannot be told. */
export function controllerOf(
  nvme: MachineNvme,
  path: string,
): Omit<QemuController, 'slot'> & { readonly isVirtualized: boolean } {
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
  const given = Object.entries(nvme.properties ?? {});
  const ofNamespaces = Object.fromEntries(given.filter(([name]) => METADATA_NAMES.has(name)));
  const ofController = Object.fromEntries(given.filter(([name]) => !METADATA_NAMES.has(name)));
  const namespaces = (nvme.namespaces ?? []).map((one, at) =>
    namespaceOf(one, ofNamespaces, `${path}.namespaces[${at}]`),
  );
  const { serial } = nvme;
  const properties = { ...named, ...ofController };
  const isVirtualized = Number(properties.sriov_max_vfs ?? 0) > 0;
  if (isVirtualized && nvme.properties?.sriov_max_vfs === undefined && nvme.sriovVfsOnline !== false) {
    throw new RangeError(
      `${path}.sriovVfsOnline is not false; allowed with platform "qemu": false, for QEMU leaves it to the host to put virtual functions online`,
    );
  }
  return { ...(serial === undefined ? {} : { serial }), properties, namespaces, isVirtualized };
}

function namespaceOf(namespace: MachineNamespace, common: QemuProperties, path: string): QemuNamespace {
  const properties: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(namespace)) {
    if (KNOWN_OF_NAMESPACE.has(name) || value === undefined) continue;
    const theirs = NAMESPACE_NAMES[name];
    if (theirs === undefined)
      throw refused(`${path}.${name}`, [...KNOWN_OF_NAMESPACE, ...Object.keys(NAMESPACE_NAMES)]);
    Object.assign(properties, theirs(value as never));
  }
  Object.assign(properties, common);
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
