// The parts of a description that a controller may have or not: PCI identity, kinds of interrupts, memory buffers,
// power states. Plain data, checked field by field.
// Kernel counterpart: none. Spec: [PCI] 3.0 §6.2, [NVMe] 2.0 §3.1.4.11-12 (CMB), §5.17.2.1 (HMPRE, NPSS).
import { checkNumber, refuse } from './refuse.js';
import { resolveStreams, type StreamsDescription } from './streams.js';

/** What the PCI header says the function is; what is absent is QEMU's. */
export interface PciIdsDescription {
  readonly vendorId?: number;
  readonly deviceId?: number;
  readonly revisionId?: number;
  /** 24 bits; 0x010802 is NVM Express. */
  readonly classCode?: number;
  readonly subsystemVendorId?: number;
  readonly subsystemId?: number;
}

/** Which message signalled interrupts the function offers beside its pin. */
export type InterruptsDescription = 'msix' | 'msi' | 'msi-and-msix' | 'intx';

/** The specification a controller follows. */
export type VersionDescription = '1.0' | '1.1' | '1.2' | '1.3' | '1.4';

/** A controller memory buffer in BAR 2. */
export interface CmbDescription {
  /** A power of two, since it fills its BAR. */
  readonly sizeMiB: number;
  /** True: as before NVMe 1.4, always visible and at the BAR's address; false: once the host has enabled it. */
  readonly legacy?: boolean;
}

/** A wish for host memory; sizes in KiB, multiples of 4. */
export interface HmbDescription {
  /** HMPRE. */
  readonly preferredKiB: number;
  /** HMMIN; 0 unless told. */
  readonly minimumKiB?: number;
  /** HMMINDS, the smallest piece; 0: any. */
  readonly minimumPieceKiB?: number;
  /** HMMAXD, the most pieces; 0: any number. */
  readonly maximumPieces?: number;
  /** What a read or write takes longer when its place is not in the buffer, virtual nanoseconds. */
  readonly lookupNs?: number;
}

/** One power state. */
export interface PowerStateDescription {
  /** Units of 0.01 W. */
  readonly maxPower: number;
  readonly entryLatencyUs: number;
  readonly exitLatencyUs: number;
  /** No I/O is done in it: a command brings the controller out of it first. */
  readonly nonOperational?: boolean;
}

/** The optional parts as a user writes them; everything has a default. */
export interface HardwareDescription {
  readonly pci?: PciIdsDescription;
  /** MSI-X unless told. */
  readonly interrupts?: InterruptsDescription;
  /** Messages of MSI: 1, 2, 4, 8, 16 or 32. */
  readonly msiVectors?: number;
  /** 1.4 unless told. */
  readonly version?: VersionDescription;
  /** Bytes of an I/O submission entry; some controllers take 128, of which the command fills the first 64. */
  readonly sqEntryBytes?: 64 | 128;
  /** Absent: none. */
  readonly cmb?: CmbDescription;
  /** Absent: none. */
  readonly hmb?: HmbDescription;
  /** Features 08h and 09h can be set and have an effect. */
  readonly interruptCoalescing?: boolean;
  /** NPSS + 1 states; the first is the one it works in. */
  readonly powerStates?: readonly PowerStateDescription[];
  /** Autonomous power state transitions, feature 0Ch. */
  readonly apst?: boolean;
  /** CRDT1 to CRDT3, units of 100 ms: what CRD 1 to 3 of a completion asks a host to wait for; 0 unless told. */
  readonly retryDelays?: readonly number[];
  /** Directives, of which it has Streams. Absent: none. */
  readonly streams?: StreamsDescription;
}

/** The optional parts, checked and filled in. */
export interface ResolvedHardware {
  readonly pci: Required<PciIdsDescription>;
  readonly interrupts: InterruptsDescription;
  readonly msiVectors: number;
  readonly version: VersionDescription;
  readonly sqEntryBytes: number;
  readonly cmb: Required<CmbDescription> | null;
  readonly hmb: Required<HmbDescription> | null;
  readonly interruptCoalescing: boolean;
  readonly powerStates: readonly Required<PowerStateDescription>[];
  readonly apst: boolean;
  readonly retryDelays: readonly number[];
  readonly streams: Required<StreamsDescription> | null;
}

const QEMU_IDS: Required<PciIdsDescription> = {
  vendorId: 0x1b36,
  deviceId: 0x0010,
  revisionId: 2,
  classCode: 0x010802,
  subsystemVendorId: 0x1af4,
  subsystemId: 0x1100,
};
const QEMU_POWER_STATE = { maxPower: 2500, entryLatencyUs: 16, exitLatencyUs: 4, nonOperational: false };
const VERSIONS: readonly VersionDescription[] = ['1.0', '1.1', '1.2', '1.3', '1.4'];
const INTERRUPTS: readonly InterruptsDescription[] = ['msix', 'msi', 'msi-and-msix', 'intx'];
const MSI_VECTORS = [1, 2, 4, 8, 16, 32];
/** NPSS counts from 0 to 31. */
const MAX_POWER_STATES = 32;
/** CRDT1 to CRDT3. */
const MAX_RETRY_DELAYS = 3;
const MAX_CMB_MIB = 1024;
/** HMPRE, HMMIN and HMMINDS count units of 4 KiB in 32 bits. */
const MAX_HMB_KIB = 4 * 0xffffffff;

/** Checks the optional parts; throws one RangeError that names field, value and what is allowed. */
export function resolveHardware(description: HardwareDescription): ResolvedHardware {
  const { interrupts = 'msix', msiVectors = 1, version = '1.4', sqEntryBytes = 64 } = description;
  if (!INTERRUPTS.includes(interrupts)) refuse('interrupts', interrupts, oneOf(INTERRUPTS));
  if (!MSI_VECTORS.includes(msiVectors)) refuse('msiVectors', msiVectors, '1, 2, 4, 8, 16 or 32');
  if (!VERSIONS.includes(version)) refuse('version', version, oneOf(VERSIONS));
  if (sqEntryBytes !== 64 && sqEntryBytes !== 128) refuse('sqEntryBytes', sqEntryBytes, '64 or 128');
  return {
    pci: resolveIds(description.pci ?? {}),
    interrupts,
    msiVectors,
    version,
    sqEntryBytes,
    cmb: resolveCmb(description.cmb ?? null, version),
    hmb: resolveHmb(description.hmb ?? null, version),
    interruptCoalescing: description.interruptCoalescing ?? false,
    powerStates: resolvePowerStates(description.powerStates),
    apst: description.apst ?? false,
    retryDelays: resolveRetryDelays(description.retryDelays ?? []),
    streams: resolveStreams(description.streams ?? null, version),
  };
}

function resolveRetryDelays(delays: readonly number[]): number[] {
  if (!Array.isArray(delays) || delays.length > MAX_RETRY_DELAYS)
    refuse('retryDelays', delays, `a list of at most ${MAX_RETRY_DELAYS} numbers`);
  delays.forEach((delay, i) => {
    checkNumber(`retryDelays[${i}]`, delay, 0, 0xffff);
  });
  return [...delays, 0, 0, 0].slice(0, MAX_RETRY_DELAYS);
}

function oneOf(values: readonly string[]): string {
  return `one of ${values.map((value) => JSON.stringify(value)).join(', ')}`;
}

function resolveIds(ids: PciIdsDescription): Required<PciIdsDescription> {
  const given = Object.fromEntries(Object.entries(ids).filter((entry) => entry[1] !== undefined));
  const all: Required<PciIdsDescription> = { ...QEMU_IDS, ...given };
  for (const name of ['vendorId', 'deviceId', 'subsystemVendorId', 'subsystemId'] as const)
    checkNumber(`pci.${name}`, all[name], 0, 0xffff);
  checkNumber('pci.revisionId', all.revisionId, 0, 0xff);
  checkNumber('pci.classCode', all.classCode, 0, 0xffffff);
  return all;
}

function resolveCmb(cmb: CmbDescription | null, version: VersionDescription): Required<CmbDescription> | null {
  if (cmb === null) return null;
  checkNumber('cmb.sizeMiB', cmb.sizeMiB, 1, MAX_CMB_MIB);
  if ((cmb.sizeMiB & (cmb.sizeMiB - 1)) !== 0) refuse('cmb.sizeMiB', cmb.sizeMiB, 'a power of two');
  if (version < '1.2') refuse('cmb', cmb, `absent where version is ${version}: it came with 1.2`);
  const { legacy = version !== '1.4' } = cmb;
  if (!legacy && version !== '1.4') refuse('cmb.legacy', legacy, `true where version is ${version}`);
  return { sizeMiB: cmb.sizeMiB, legacy };
}

function resolveHmb(hmb: HmbDescription | null, version: VersionDescription): Required<HmbDescription> | null {
  if (hmb === null) return null;
  if (version < '1.2') refuse('hmb', hmb, `absent where version is ${version}: it came with 1.2`);
  const { preferredKiB, minimumKiB = 0, minimumPieceKiB = 0, maximumPieces = 0, lookupNs = 0 } = hmb;
  checkPages('hmb.preferredKiB', preferredKiB, 4);
  checkPages('hmb.minimumKiB', minimumKiB, 0);
  checkPages('hmb.minimumPieceKiB', minimumPieceKiB, 0);
  checkNumber('hmb.minimumKiB', minimumKiB, 0, preferredKiB);
  checkNumber('hmb.maximumPieces', maximumPieces, 0, 0xffff);
  checkNumber('hmb.lookupNs', lookupNs, 0, Number.MAX_SAFE_INTEGER);
  return { preferredKiB, minimumKiB, minimumPieceKiB, maximumPieces, lookupNs };
}

function checkPages(field: string, kib: number, least: number): void {
  checkNumber(field, kib, least, MAX_HMB_KIB);
  if (kib % 4 !== 0) refuse(field, kib, 'a multiple of 4');
}

function resolvePowerStates(
  states: readonly PowerStateDescription[] = [QEMU_POWER_STATE],
): Required<PowerStateDescription>[] {
  if (!Array.isArray(states)) refuse('powerStates', states, 'a list of power states');
  checkNumber('powerStates.length', states.length, 1, MAX_POWER_STATES);
  return states.map((state, i) => {
    const at = `powerStates[${i}]`;
    checkNumber(`${at}.maxPower`, state.maxPower, 0, 0xffff);
    checkNumber(`${at}.entryLatencyUs`, state.entryLatencyUs, 0, 0xffffffff);
    checkNumber(`${at}.exitLatencyUs`, state.exitLatencyUs, 0, 0xffffffff);
    if (i === 0 && state.nonOperational) refuse(`${at}.nonOperational`, true, 'false: state 0 is operational');
    return { ...state, nonOperational: state.nonOperational ?? false };
  });
}
