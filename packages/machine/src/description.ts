/**
 * A machine as plain data, and the JSON Schema it is checked against. The schema is the one source: it gives the
 * check, the sentence of a refusal, and the published file.
 */

import type { DmiIdentity } from '@nvme-stack/device-core/ports';
import type { Checks, KernelProfile, TraceLevel } from '@nvme-stack/kernel';
import {
  faultPlanSchema,
  type NamespaceDescription,
  type NvmeControllerDescription,
} from '@nvme-stack/nvme-controller';
import {
  functionsSchema,
  type MachineFunction,
  type MachineRootPort,
  portSchema,
  rootPortsSchema,
} from './pci-description.js';
import { type JsonSchema, validate } from './schema.js';

/** A namespace's size in MiB, or in bytes as the controller's description has it. */
export type MachineNamespace = Omit<NamespaceDescription, 'sizeBytes'> & {
  readonly sizeMiB?: number;
  readonly sizeBytes?: number;
  /** Path of a raw image (entry point `@nvme-stack/machine/node` only). */
  readonly file?: string;
};

/** An NVMe controller in a slot. */
export type MachineNvme = Omit<NvmeControllerDescription, 'namespaces' | 'behindPort'> & {
  readonly namespaces?: readonly MachineNamespace[];
  /** PCI device number on bus 0; the next free one from 3 unless told. */
  readonly slot?: number;
  /** Index of an earlier controller whose subsystem and namespaces this one has too: another path to its disks. */
  readonly sharesWith?: number;
  /** In the slot of the port of that name, instead of on bus 0. */
  readonly port?: string;
  /** Properties under QEMU's names (`cmb_size_mb`, `max_ioqpairs`), for whichever controller is behind the port. */
  readonly properties?: Readonly<Record<string, string | number | boolean>>;
};

/** A whole machine. Everything has a default. */
export interface MachineDescription {
  /** The kernel whose flow and texts the machine follows. */
  readonly profile?: KernelProfile;
  /** Where the devices are: in this process, or in a QEMU (entry point `@nvme-stack/machine/node` only). */
  readonly platform?: 'sim' | 'qemu';
  readonly cpus?: number;
  readonly numaNodes?: number;
  /** Node of the PCI root complex, below `numaNodes`; -1 (default): the firmware does not say. */
  readonly numaNode?: number;
  readonly memoryMiB?: number;
  /** What else is on the PCI bus: the functions of a q35 board, or only a host bridge. */
  readonly pci?: 'q35' | 'bare';
  /** Who made the machine and its board, as firmware tells; without any field there is no DMI. Some drives have quirks on some machines only. */
  readonly dmi?: DmiIdentity;
  /** PCI Express ports, with slots for cards or switches behind them. */
  readonly rootPorts?: readonly MachineRootPort[];
  /** Functions that are enumerated, and do nothing else. */
  readonly functions?: readonly MachineFunction[];
  readonly nvme?: readonly MachineNvme[];
  readonly seed?: number;
  /** The seed chooses among ready items; otherwise first in, first out. */
  readonly interleave?: boolean;
  readonly checks?: Checks;
  readonly trace?: TraceLevel;
  /** Wall-clock milliseconds (since 1970) at power-on. */
  readonly bootTimeMs?: number;
  /** Test mode: what runs behind a forgotten `await` is caught. */
  readonly strict?: boolean;
}

/** A checked description with every default filled in. */
export type ResolvedMachine = Required<MachineDescription>;

/** Profiles that this version has. */
export const PROFILES: readonly KernelProfile[] = ['6.12', '6.1', '4.13', '4.10'];

const integer = (minimum: number, maximum: number, description: string): JsonSchema => ({
  type: 'integer',
  minimum,
  maximum,
  description,
});

const NAMESPACE: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    nsid: integer(1, 256, 'Namespace identifier; the next free one unless told.'),
    sizeMiB: integer(1, 1 << 24, 'Size in MiB.'),
    sizeBytes: integer(512, Number.MAX_SAFE_INTEGER, 'Size in bytes, a multiple of logicalBlockSize.'),
    file: { type: 'string', description: 'Path of a raw disk image (Node only).' },
    logicalBlockSize: { enum: [512, 4096], description: 'Bytes of a logical block.' },
    metadataBytes: { enum: [0, 8, 16, 64], description: 'Bytes of metadata of a block, within sizeBytes.' },
    metadataExtended: { type: 'boolean', description: 'Metadata follow the data of each block in memory.' },
    protectionType: { enum: [0, 1, 2, 3], description: 'Type of protection information in the metadata.' },
    protectionFirst: { type: 'boolean', description: 'It is their first eight bytes, not their last.' },
    uuid: { type: 'string', description: 'Universally unique identifier.' },
    nguid: { type: 'string', description: 'Namespace globally unique identifier, 32 hexadecimal digits.' },
    eui64: { type: 'string', description: 'IEEE extended unique identifier, 16 hexadecimal digits.' },
    readOnly: { type: 'boolean', description: 'Writes are refused.' },
    attached: { type: 'boolean', description: 'False: described, but not attached at power-on.' },
  },
};

const LATENCY: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['kind'],
  properties: {
    kind: { enum: ['none', 'fixed'], description: 'How long commands take.' },
    readNs: integer(0, Number.MAX_SAFE_INTEGER, 'Virtual nanoseconds of a read.'),
    writeNs: integer(0, Number.MAX_SAFE_INTEGER, 'Virtual nanoseconds of a write.'),
    flushNs: integer(0, Number.MAX_SAFE_INTEGER, 'Virtual nanoseconds of a flush.'),
    otherNs: integer(0, Number.MAX_SAFE_INTEGER, 'Virtual nanoseconds of any other I/O command.'),
    adminNs: integer(0, Number.MAX_SAFE_INTEGER, 'Virtual nanoseconds of an admin command.'),
  },
};

const object = (
  description: string,
  properties: Readonly<Record<string, JsonSchema>>,
  required: string[] = [],
): JsonSchema => ({
  type: 'object',
  additionalProperties: false,
  description,
  properties,
  required,
});

/** What a controller may have or not. */
const HARDWARE: Readonly<Record<string, JsonSchema>> = {
  pci: object('What the PCI header says the function is.', {
    vendorId: integer(0, 0xffff, 'Vendor.'),
    deviceId: integer(0, 0xffff, 'Device.'),
    revisionId: integer(0, 0xff, 'Revision.'),
    classCode: integer(0, 0xffffff, 'Class, 24 bits; 0x010802 is NVM Express.'),
    subsystemVendorId: integer(0, 0xffff, 'Subsystem vendor.'),
    subsystemId: integer(0, 0xffff, 'Subsystem.'),
  }),
  interrupts: { enum: ['msix', 'msi', 'msi-and-msix', 'intx'], description: 'Interrupts beside the pin.' },
  msiVectors: { enum: [1, 2, 4, 8, 16, 32], description: 'Messages of MSI.' },
  version: { enum: ['1.0', '1.1', '1.2', '1.3', '1.4'], description: 'The specification the controller follows.' },
  sqEntryBytes: { enum: [64, 128], description: 'Bytes of an I/O submission entry.' },
  cmb: object(
    'A controller memory buffer in BAR 2.',
    {
      sizeMiB: { enum: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024], description: 'Its size in MiB.' },
      legacy: { type: 'boolean', description: 'Always visible, as before NVMe 1.4.' },
    },
    ['sizeMiB'],
  ),
  hmb: object(
    'A wish for a host memory buffer; sizes are multiples of 4 KiB.',
    {
      preferredKiB: integer(4, Number.MAX_SAFE_INTEGER, 'HMPRE.'),
      minimumKiB: integer(0, Number.MAX_SAFE_INTEGER, 'HMMIN.'),
      minimumPieceKiB: integer(0, Number.MAX_SAFE_INTEGER, 'HMMINDS.'),
      maximumPieces: integer(0, 0xffff, 'HMMAXD.'),
      lookupNs: integer(0, Number.MAX_SAFE_INTEGER, 'What a look-up on the medium takes, virtual nanoseconds.'),
    },
    ['preferredKiB'],
  ),
  interruptCoalescing: { type: 'boolean', description: 'Features 08h and 09h can be set.' },
  powerStates: {
    type: 'array',
    maxItems: 32,
    description: 'Power states, the working one first.',
    items: object(
      'A power state.',
      {
        maxPower: integer(0, 0xffff, 'Units of 0.01 W.'),
        entryLatencyUs: integer(0, 0xffffffff, 'Microseconds to enter it.'),
        exitLatencyUs: integer(0, 0xffffffff, 'Microseconds to leave it.'),
        nonOperational: { type: 'boolean', description: 'No I/O is done in it.' },
      },
      ['maxPower', 'entryLatencyUs', 'exitLatencyUs'],
    ),
  },
  apst: { type: 'boolean', description: 'Autonomous power state transitions.' },
  retryDelays: {
    type: 'array',
    maxItems: 3,
    description: 'CRDT1 to CRDT3: what CRD 1 to 3 of a completion asks a host to wait for.',
    items: integer(0, 0xffff, 'Units of 100 ms.'),
  },
  streams: object(
    'Directives, of which it has Streams; from version 1.3 on.',
    {
      maxStreams: integer(1, 0xffff, 'MSL: the most that can be open at once.'),
      writeSizeBlocks: integer(
        0,
        0xffffffff,
        'SWS: what is best written at once, logical blocks; 0: nothing in particular.',
      ),
      granularity: integer(
        0,
        0xffff,
        'SGS: what is best deallocated at once, units of writeSizeBlocks; 0: nothing in particular.',
      ),
    },
    ['maxStreams'],
  ),
  sriovMaxVfs: integer(0, 127, 'Most virtual functions, each a controller over the same namespaces; 0: no SR-IOV.'),
  sriovVqFlexible: integer(0, 2047, 'Queue pairs, admin queues included, that can be given to virtual functions.'),
  sriovViFlexible: integer(0, 2047, 'Interrupt vectors that can be given to virtual functions.'),
  sriovMaxVqPerVf: integer(0, 2047, 'Most queue pairs of one virtual function; 0: an even share.'),
  sriovMaxViPerVf: integer(0, 2047, 'Most vectors of one virtual function; 0: an even share.'),
  sriovVfsOnline: {
    type: 'boolean',
    description:
      'VF Enable gives virtual functions their resources and puts them online; else Virtualization Management does.',
  },
};

const NVME: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    slot: integer(1, 30, 'PCI device number on bus 0.'),
    port: portSchema,
    properties: { type: 'object', additionalProperties: true, description: "Properties under QEMU's names." },
    preset: { enum: ['qemu-7.2'], description: "Identity and features of QEMU 7.2's device." },
    serial: { type: 'string', description: 'Serial number, up to 20 characters.' },
    model: { type: 'string', description: 'Model number, up to 40 characters.' },
    firmware: { type: 'string', description: 'Firmware revision, up to 8 characters.' },
    subsystemNqn: { type: 'string', description: 'NVMe qualified name of the subsystem.' },
    mdts: integer(0, 15, 'Largest transfer as a power of two of 4 KiB pages; 0: no limit.'),
    maxIoQueuePairs: integer(0, 2047, 'I/O queue pairs the controller grants; 0: it is administrative.'),
    msixVectors: integer(1, 2048, 'MSI-X vectors.'),
    mqes: integer(1, 0xffff, 'CAP.MQES, largest queue, 0-based.'),
    timeout: integer(0, 255, 'CAP.TO in units of 500 ms.'),
    dstrd: integer(0, 8, 'CAP.DSTRD: doorbell stride 4 << n bytes.'),
    readyDelayNs: integer(0, Number.MAX_SAFE_INTEGER, 'Virtual time from CC.EN = 1 to CSTS.RDY = 1.'),
    shutdownDelayNs: integer(0, Number.MAX_SAFE_INTEGER, 'Virtual time from CC.SHN to shutdown complete.'),
    aerLimit: integer(0, 255, 'AERL, 0-based.'),
    dbbuf: { type: 'boolean', description: 'Doorbell Buffer Config.' },
    sgl: { type: 'boolean', description: 'SGLs for I/O commands.' },
    volatileWriteCache: { type: 'boolean', description: 'A volatile write cache is present.' },
    multiController: { type: 'boolean', description: 'Other controllers may be in its subsystem.' },
    controllerId: integer(0, 0xffef, 'CNTLID.'),
    sharesWith: integer(0, 7, 'Index of an earlier controller, whose namespaces this one has too.'),
    subsystemReset: { type: 'boolean', description: 'NVM subsystem reset.' },
    ...HARDWARE,
    latency: LATENCY,
    faults: faultPlanSchema,
    namespaces: { type: 'array', items: NAMESPACE, maxItems: 256, description: 'Namespaces of the controller.' },
  },
};

/** A text of DMI: as firmware has it, without spaces around it. */
const dmiText = (description: string): JsonSchema => ({ type: 'string', minLength: 1, maxLength: 64, description });

const DMI: JsonSchema = object('Who made the machine and its board, as firmware tells.', {
  sysVendor: dmiText('Maker of the machine.'),
  productName: dmiText('Name of the machine.'),
  productFamily: dmiText('Family of the machine.'),
  boardVendor: dmiText('Maker of the board.'),
  boardName: dmiText('Name of the board.'),
});

/** JSON Schema of a machine description. */
export const machineSchema: JsonSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'nvme-stack machine',
  type: 'object',
  additionalProperties: false,
  properties: {
    profile: { enum: PROFILES, description: 'The kernel whose flow and texts the machine follows.' },
    platform: { enum: ['sim', 'qemu'], description: 'Where the devices are.' },
    cpus: integer(1, 64, 'CPUs.'),
    numaNodes: integer(1, 8, 'NUMA nodes; at most as many as CPUs.'),
    numaNode: integer(-1, 7, 'NUMA node of the PCI root complex; -1: not known.'),
    memoryMiB: integer(8, 2048, 'RAM in MiB.'),
    pci: { enum: ['q35', 'bare'], description: 'What else is on the PCI bus.' },
    dmi: DMI,
    rootPorts: rootPortsSchema,
    functions: functionsSchema,
    nvme: { type: 'array', items: NVME, maxItems: 8, description: 'NVMe controllers.' },
    seed: integer(0, 0xffffffff, 'Seed of every random stream.'),
    interleave: { type: 'boolean', description: 'The seed chooses among ready items.' },
    checks: { enum: ['full', 'dma', 'off'], description: 'How much is checked at run time.' },
    trace: { enum: ['off', 'hash', 'full'], description: 'How much of the trace is kept.' },
    bootTimeMs: integer(0, Number.MAX_SAFE_INTEGER, 'Wall-clock milliseconds since 1970 at power-on.'),
    strict: { type: 'boolean', description: 'Test mode of the executor.' },
  },
};

/** 2026-01-01T00:00:00Z. */
const DEFAULT_BOOT_TIME_MS = 1767225600000;

/** Checks a description and fills in defaults; throws one RangeError that names field, value and what is allowed. */
export function resolveMachine(description: MachineDescription): ResolvedMachine {
  validate(machineSchema, description, 'machine');
  const cpus = description.cpus ?? 4;
  const numaNodes = description.numaNodes ?? 1;
  if (numaNodes > cpus) {
    throw new RangeError(`machine.numaNodes is ${numaNodes}; allowed is at most the number of CPUs, ${cpus}`);
  }
  const numaNode = description.numaNode ?? -1;
  if (numaNode >= numaNodes) {
    throw new RangeError(`machine.numaNode is ${numaNode}; allowed is -1 or a node below ${numaNodes}`);
  }
  if (numaNode >= 0 && description.platform === 'qemu') {
    throw new RangeError(`machine.numaNode is ${numaNode}; allowed is -1: QEMU's root complex is on no node`);
  }
  return {
    profile: description.profile ?? '6.12',
    platform: description.platform ?? 'sim',
    cpus,
    numaNodes,
    numaNode,
    memoryMiB: description.memoryMiB ?? 64,
    pci: description.pci ?? 'q35',
    dmi: description.dmi ?? {},
    rootPorts: description.rootPorts ?? [],
    functions: description.functions ?? [],
    nvme: description.nvme ?? [{ namespaces: [{ sizeMiB: 64 }] }],
    seed: description.seed ?? 1,
    interleave: description.interleave ?? false,
    checks: description.checks ?? 'full',
    trace: description.trace ?? 'full',
    bootTimeMs: description.bootTimeMs ?? DEFAULT_BOOT_TIME_MS,
    strict: description.strict ?? false,
  };
}

/** Checks the description of one controller; `path` names it. Throws one RangeError. */
export function validateController(nvme: MachineNvme, path: string): void {
  validate(NVME, nvme, path);
}

const BYTES_PER_MIB = 1 << 20;
const DEFAULT_NAMESPACE_MIB = 64;

/** A namespace as the controller takes it. */
export function resolveNamespace(namespace: MachineNamespace): NamespaceDescription {
  const { sizeMiB = DEFAULT_NAMESPACE_MIB, file, sizeBytes = sizeMiB * BYTES_PER_MIB, ...rest } = namespace;
  return { ...rest, sizeBytes };
}
