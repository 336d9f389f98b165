// The description of a controller: plain data, checked field by field.
// Kernel counterpart: none. Spec: [NVMe] 2.0 §3.1.3 (CAP), §5.17.2.1 (Identify Controller).

import { checkFaultPlan } from './faults/check.js';
import type { FaultPlanDescription } from './faults/rule.js';
import { type HardwareDescription, type ResolvedHardware, resolveHardware } from './hardware-description.js';
import { checkNumber, refuse } from './refuse.js';
import { type ResolvedSriov, resolveSriov, type SriovDescription } from './sriov/description.js';

/** One namespace of a description. */
export interface NamespaceDescription {
  /** 1..256; the next free one unless told. */
  readonly nsid?: number;
  /** A positive multiple of logicalBlockSize. */
  readonly sizeBytes: number;
  /** 512 unless told. */
  readonly logicalBlockSize?: 512 | 4096;
  /** Metadata of each block, which take their place in sizeBytes beside it; 0 unless told. QEMU's `ms`. */
  readonly metadataBytes?: 0 | 8 | 16 | 64;
  /** Metadata follow each block's data in the host's memory; false: they have a buffer of their own. QEMU's `mset`. */
  readonly metadataExtended?: boolean;
  /** Type of protection information, which needs metadata; 0, the default: none. QEMU's `pi`. */
  readonly protectionType?: 0 | 1 | 2 | 3;
  /** Protection information is the first eight bytes of the metadata; false: the last eight. QEMU's `pil`. */
  readonly protectionFirst?: boolean;
  /** `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`. */
  readonly uuid?: string;
  /** 32 hexadecimal digits. */
  readonly nguid?: string;
  /** 16 hexadecimal digits. */
  readonly eui64?: string;
  readonly readOnly?: boolean;
  /** False: described, but not attached at power-on. */
  readonly attached?: boolean;
}

/** How long commands take; `fixed` names virtual nanoseconds per kind of command. */
export type LatencyDescription =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'fixed';
      readonly readNs?: number;
      readonly writeNs?: number;
      readonly flushNs?: number;
      readonly otherNs?: number;
      readonly adminNs?: number;
    };

/** A controller as plain JSON; only `namespaces` has no default. */
export interface NvmeControllerDescription extends HardwareDescription, SriovDescription {
  /** Identity and features of QEMU 7.2's device; the only preset, and the default. */
  readonly preset?: 'qemu-7.2';
  /** Up to 20 printable ASCII characters. */
  readonly serial?: string;
  /** Up to 40. */
  readonly model?: string;
  /** Up to 8. */
  readonly firmware?: string;
  readonly subsystemNqn?: string;
  /** Largest transfer as a power of two of 4 KiB pages; 0 for no limit. */
  readonly mdts?: number;
  /** 0: an administrative controller, which has no I/O queues. */
  readonly maxIoQueuePairs?: number;
  readonly msixVectors?: number;
  /** CAP.MQES, 0-based. */
  readonly mqes?: number;
  /** CAP.TO in units of 500 ms. */
  readonly timeout?: number;
  /** CAP.DSTRD, doorbell stride 4 << n bytes. */
  readonly dstrd?: number;
  /** Virtual time from CC.EN = 1 to CSTS.RDY = 1. */
  readonly readyDelayNs?: number;
  /** Virtual time from CC.SHN to shutdown complete. */
  readonly shutdownDelayNs?: number;
  /** AERL, 0-based. */
  readonly aerLimit?: number;
  /** Doorbell Buffer Config command. */
  readonly dbbuf?: boolean;
  /** SGLs for I/O commands. */
  readonly sgl?: boolean;
  readonly volatileWriteCache?: boolean;
  /** Other controllers may be in its subsystem, over the same namespaces (CMIC, NMIC). */
  readonly multiController?: boolean;
  /** CNTLID, 0 to 65519; of one that shares another's namespaces the next that is free, unless told. */
  readonly controllerId?: number;
  /** NVM Subsystem Reset (CAP.NSSRS). */
  readonly subsystemReset?: boolean;
  /** It stands behind a PCI Express port, with a link of its own; else it is a part of the root complex, as QEMU's is on the root bus. Default false. */
  readonly behindPort?: boolean;
  readonly latency?: LatencyDescription;
  /** Misbehaviour from power-on. */
  readonly faults?: FaultPlanDescription;
  readonly namespaces: readonly NamespaceDescription[];
}

/** A checked description with every default filled in. */
export interface ResolvedController
  extends Required<Omit<NvmeControllerDescription, 'namespaces' | keyof HardwareDescription | keyof SriovDescription>>,
    ResolvedHardware {
  /** Null: it has no virtual functions. */
  readonly sriov: ResolvedSriov | null;
  readonly namespaces: readonly ResolvedNamespace[];
}

/** A checked namespace. */
export interface ResolvedNamespace {
  readonly nsid: number;
  readonly sizeBytes: number;
  readonly logicalBlockSize: number;
  readonly metadataBytes: number;
  readonly metadataExtended: boolean;
  readonly protectionType: number;
  readonly protectionFirst: boolean;
  readonly uuid: string;
  readonly nguid: string;
  readonly eui64: string;
  readonly readOnly: boolean;
  readonly attached: boolean;
}

/** FFF0h and what follows are reserved. [NVMe] 5.17.2.1. */
const LARGEST_CNTLID = 0xffef;

/** NN: the largest namespace identifier. */
export const MAX_NAMESPACES = 256;

const PRESET_QEMU_7_2: Required<
  Omit<NvmeControllerDescription, 'namespaces' | 'subsystemNqn' | keyof HardwareDescription | keyof SriovDescription>
> = {
  preset: 'qemu-7.2',
  serial: 'nvme-stack',
  model: 'QEMU NVMe Ctrl',
  firmware: '7.2.22',
  mdts: 7,
  maxIoQueuePairs: 64,
  msixVectors: 65,
  mqes: 0x7ff,
  timeout: 0x0f,
  dstrd: 0,
  readyDelayNs: 0,
  shutdownDelayNs: 0,
  aerLimit: 3,
  dbbuf: true,
  sgl: true,
  volatileWriteCache: true,
  multiController: false,
  controllerId: 0,
  subsystemReset: false,
  behindPort: false,
  latency: { kind: 'none' },
  faults: { faults: [] },
};

/** Checks a description; throws one RangeError that names field, value and what is allowed. */
export function resolveDescription(description: NvmeControllerDescription): ResolvedController {
  if (description.preset !== undefined && description.preset !== 'qemu-7.2') {
    refuse('preset', description.preset, "'qemu-7.2'");
  }
  const merged = { ...PRESET_QEMU_7_2, ...withoutUndefined(description) };
  checkText('serial', merged.serial, 20);
  checkText('model', merged.model, 40);
  checkText('firmware', merged.firmware, 8);
  const subsystemNqn = description.subsystemNqn ?? `nqn.2019-08.org.qemu:${merged.serial}`;
  checkText('subsystemNqn', subsystemNqn, 223);
  checkNumber('controllerId', merged.controllerId, 0, LARGEST_CNTLID);
  checkNumber('mdts', merged.mdts, 0, 15);
  checkNumber('maxIoQueuePairs', merged.maxIoQueuePairs, 0, 2047);
  checkNumber('msixVectors', merged.msixVectors, 1, 2048);
  checkNumber('mqes', merged.mqes, 1, 0xffff);
  checkNumber('timeout', merged.timeout, 0, 255);
  checkNumber('dstrd', merged.dstrd, 0, 8);
  checkNumber('readyDelayNs', merged.readyDelayNs, 0, Number.MAX_SAFE_INTEGER);
  checkNumber('shutdownDelayNs', merged.shutdownDelayNs, 0, Number.MAX_SAFE_INTEGER);
  checkNumber('aerLimit', merged.aerLimit, 0, 255);
  checkLatency(merged.latency);
  checkFaultPlan(merged.faults);
  const hardware = resolveHardware(description);
  const sriov = resolveSriov(description, { ...merged, ...hardware });
  return { ...merged, ...hardware, sriov, subsystemNqn, namespaces: resolveNamespaces(description.namespaces) };
}

function resolveNamespaces(namespaces: readonly NamespaceDescription[]): ResolvedNamespace[] {
  if (!Array.isArray(namespaces)) refuse('namespaces', namespaces, 'a list of namespaces');
  const resolved: ResolvedNamespace[] = [];
  const used = new Set<number>();
  namespaces.forEach((namespace, i) => {
    const at = `namespaces[${i}]`;
    let nsid = namespace.nsid ?? 1;
    while (namespace.nsid === undefined && used.has(nsid)) nsid++;
    checkNumber(`${at}.nsid`, nsid, 1, MAX_NAMESPACES);
    if (used.has(nsid)) refuse(`${at}.nsid`, nsid, 'a number no other namespace has');
    used.add(nsid);
    const logicalBlockSize = namespace.logicalBlockSize ?? 512;
    if (logicalBlockSize !== 512 && logicalBlockSize !== 4096) {
      refuse(`${at}.logicalBlockSize`, logicalBlockSize, '512 or 4096');
    }
    checkNumber(`${at}.sizeBytes`, namespace.sizeBytes, logicalBlockSize, Number.MAX_SAFE_INTEGER);
    if (namespace.sizeBytes % logicalBlockSize !== 0) {
      refuse(`${at}.sizeBytes`, namespace.sizeBytes, `a multiple of ${logicalBlockSize}`);
    }
    const metadata = resolveMetadata(at, namespace);
    checkNumber(
      `${at}.sizeBytes`,
      namespace.sizeBytes,
      logicalBlockSize + metadata.metadataBytes,
      Number.MAX_SAFE_INTEGER,
    );
    resolved.push({
      nsid,
      sizeBytes: namespace.sizeBytes,
      logicalBlockSize,
      ...metadata,
      uuid: checkHex(`${at}.uuid`, namespace.uuid, 32, '32 hexadecimal digits with dashes'),
      nguid: checkHex(`${at}.nguid`, namespace.nguid, 32, '32 hexadecimal digits'),
      eui64: checkHex(`${at}.eui64`, namespace.eui64, 16, '16 hexadecimal digits'),
      readOnly: namespace.readOnly ?? false,
      attached: namespace.attached ?? true,
    });
  });
  return resolved;
}

const METADATA_BYTES: readonly number[] = [0, 8, 16, 64];
const PROTECTION_TYPES: readonly number[] = [0, 1, 2, 3];

function resolveMetadata(
  at: string,
  { metadataBytes = 0, metadataExtended = false, protectionType = 0, protectionFirst = false }: NamespaceDescription,
): Pick<ResolvedNamespace, 'metadataBytes' | 'metadataExtended' | 'protectionType' | 'protectionFirst'> {
  if (!METADATA_BYTES.includes(metadataBytes)) refuse(`${at}.metadataBytes`, metadataBytes, '0, 8, 16 or 64');
  if (typeof metadataExtended !== 'boolean') refuse(`${at}.metadataExtended`, metadataExtended, 'true or false');
  if (!PROTECTION_TYPES.includes(protectionType)) refuse(`${at}.protectionType`, protectionType, '0, 1, 2 or 3');
  if (typeof protectionFirst !== 'boolean') refuse(`${at}.protectionFirst`, protectionFirst, 'true or false');
  if (protectionType !== 0 && metadataBytes === 0) {
    refuse(`${at}.protectionType`, protectionType, '0 without metadata: protection information takes 8 bytes of them');
  }
  return { metadataBytes, metadataExtended, protectionType, protectionFirst };
}

function checkLatency(latency: LatencyDescription): void {
  if (latency.kind === 'none') return;
  if (latency.kind !== 'fixed') refuse('latency.kind', (latency as { kind: unknown }).kind, "'none' or 'fixed'");
  for (const name of ['readNs', 'writeNs', 'flushNs', 'otherNs', 'adminNs'] as const) {
    checkNumber(`latency.${name}`, latency[name] ?? 0, 0, Number.MAX_SAFE_INTEGER);
  }
}

function checkText(field: string, value: string, length: number): void {
  if (typeof value === 'string' && value.length <= length && /^[ -~]*$/.test(value)) return;
  refuse(field, value, `at most ${length} printable ASCII characters`);
}

/** Digits without dashes, or '' if absent. */
function checkHex(field: string, value: string | undefined, digits: number, allowed: string): string {
  if (value === undefined) return '';
  const plain = value.replaceAll('-', '').toLowerCase();
  if (plain.length !== digits || !/^[0-9a-f]*$/.test(plain)) refuse(field, value, allowed);
  return plain;
}

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter((entry) => entry[1] !== undefined)) as T;
}
