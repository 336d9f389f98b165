// Streams: what writes that belong together have in common, so that a medium may keep them together. Which are open, the
// resources that namespaces have for themselves, and what was written to each.
// Kernel counterpart: the other end of drivers/nvme/host/core.c nvme_configure_directives (4.13). Spec: [NVMe] 1.3 §9.3.
import * as nvme from '@nvme-stack/nvme-protocol';
import type { CommandSlot } from './command-slot.js';
import { MAX_NAMESPACES } from './description.js';
import type { Namespace } from './namespace.js';
import type { StreamReport, StreamsReport } from './ports.js';
import { checkNumber, refuse } from './refuse.js';

/** Streams as a user writes them. */
export interface StreamsDescription {
  /** MSL: the most that can be open at once, 1 to 65535. */
  readonly maxStreams: number;
  /** SWS: what is best written at once, logical blocks; 0 unless told: nothing in particular. */
  readonly writeSizeBlocks?: number;
  /** SGS: what is best deallocated at once, units of `writeSizeBlocks`; 0 unless told. */
  readonly granularity?: number;
}

/** Checks the description; null without one. Throws one RangeError that names field, value and what is allowed. */
export function resolveStreams(
  streams: StreamsDescription | null,
  version: string,
): Required<StreamsDescription> | null {
  if (streams === null) return null;
  if (version < '1.3') refuse('streams', streams, `absent where the version is ${version}, before 1.3`);
  const { maxStreams, writeSizeBlocks = 0, granularity = 0 } = streams;
  checkNumber('streams.maxStreams', maxStreams, 1, 0xffff);
  checkNumber('streams.writeSizeBlocks', writeSizeBlocks, 0, 0xffffffff);
  checkNumber('streams.granularity', granularity, 0, 0xffff);
  return { maxStreams, writeSizeBlocks, granularity };
}

/** One stream of a namespace; its counters are since power-on, however often it was open. */
interface StreamState extends StreamReport {
  readonly nsid: number;
  readonly id: number;
  isOpen: boolean;
  /** Takes one of the namespace's own resources, not one of the subsystem's. */
  isOwn: boolean;
  writes: number;
  bytesWritten: number;
}

/** The Streams directive of one controller, whose host is one. */
export class Streams implements StreamsReport {
  readonly description: Required<StreamsDescription>;
  private readonly enabled = new Uint8Array(MAX_NAMESPACES + 1);
  private readonly allocated = new Uint16Array(MAX_NAMESPACES + 1);
  private readonly streams: StreamState[] = [];
  unplacedWrites = 0;

  constructor(description: Required<StreamsDescription>) {
    this.description = description;
  }

  /** Every stream that was ever written to, in the order of their first writes. */
  get all(): readonly StreamReport[] {
    return this.streams;
  }

  /** A controller level reset: disabled, nothing open, nothing allocated. */
  reset(): void {
    this.enabled.fill(0);
    this.allocated.fill(0);
    for (const stream of this.streams) stream.isOpen = false;
  }

  /** Whether a namespace takes streams; all of them for NSID FFFFFFFFh. */
  isEnabled(nsid: number): boolean {
    return nsid === nvme.NVME_NSID_ALL ? !this.enabled.includes(0, 1) : this.enabled[nsid] === 1;
  }

  /** Enable Directive; switched off, streams are closed and resources given back. */
  setEnabled(nsid: number, isEnabled: boolean): void {
    const [first, last] = nsid === nvme.NVME_NSID_ALL ? [1, MAX_NAMESPACES] : [nsid, nsid];
    this.enabled.fill(isEnabled ? 1 : 0, first, last + 1);
    if (isEnabled) return;
    for (let one = first; one <= last; one++) this.releaseResources(one, true);
  }

  /** Return Parameters; fields of a namespace are 0 for NSID FFFFFFFFh. */
  parameters(nsid: number): Uint8Array {
    const { maxStreams: msl, writeSizeBlocks: sws, granularity: sgs } = this.description;
    const whole = { msl, nssa: this.available(), nsso: this.openOfSubsystem() };
    if (nsid === nvme.NVME_NSID_ALL) return nvme.StreamsDirectiveParams.encode(whole);
    const nsa = this.allocated[nsid] as number;
    return nvme.StreamsDirectiveParams.encode({ ...whole, sws, sgs, nsa, nso: this.open(nsid).length });
  }

  /** Identifiers of a namespace's open streams, ascending. */
  open(nsid: number): number[] {
    const ids = this.streams.filter((stream) => stream.isOpen && stream.nsid === nsid).map(({ id }) => id);
    return ids.sort((a, b) => a - b);
  }

  /** Allocate Resources: sets apart as many as there are, at most `wanted`; returns how many, 0 for none. */
  allocate(nsid: number, wanted: number): number {
    const given = Math.min(wanted, this.available());
    this.allocated[nsid] = given;
    return given;
  }

  /** Whether a namespace has resources of its own. */
  hasResources(nsid: number): boolean {
    return this.allocated[nsid] !== 0;
  }

  /** Release Identifier; one that is not open is released already. */
  releaseIdentifier(nsid: number, id: number): void {
    const stream = this.find(nsid, id);
    if (stream !== null) stream.isOpen = false;
  }

  /** Release Resources: those of the namespace's own, and with them the streams that use one; `all`: every stream. */
  releaseResources(nsid: number, all: boolean): void {
    this.allocated[nsid] = 0;
    for (const stream of this.streams) if (stream.nsid === nsid && (all || stream.isOwn)) stream.isOpen = false;
  }

  /** Whether a write's directive is one that this controller knows and the host has enabled. */
  accepts({ nsid, cdw12 }: CommandSlot): boolean {
    const type = (cdw12 >>> 20) & 0xf;
    return type === 0 || (type === nvme.NVME_DIR_STREAMS && this.isEnabled(nsid));
  }

  /** A write has been done: counts it with its stream, which it opens if that can be. Without a resource for it it is a write like any other. */
  wrote({ nsid, cdw12, cdw13, namespace }: CommandSlot): void {
    const id = cdw13 >>> 16;
    if (((cdw12 >>> 20) & 0xf) !== nvme.NVME_DIR_STREAMS || id === 0) return;
    const stream = this.opened(nsid, id);
    if (stream === null) {
      this.unplacedWrites++;
      return;
    }
    stream.writes++;
    stream.bytesWritten += ((cdw12 & 0xffff) + 1) * (namespace as Namespace).blockSize;
  }

  /** NSSA: what neither a namespace has for itself nor an open stream uses. */
  private available(): number {
    return this.description.maxStreams - this.allocated.reduce((sum, one) => sum + one, 0) - this.openOfSubsystem();
  }

  /** NSSO. */
  private openOfSubsystem(): number {
    return this.streams.filter((stream) => stream.isOpen && !stream.isOwn).length;
  }

  private find(nsid: number, id: number): StreamState | null {
    for (const stream of this.streams) if (stream.id === id && stream.nsid === nsid) return stream;
    return null;
  }

  private opened(nsid: number, id: number): StreamState | null {
    let stream = this.find(nsid, id);
    if (stream?.isOpen) return stream;
    const own = this.allocated[nsid] as number;
    const isOwn = own > 0;
    if (isOwn ? this.ownOpen(nsid) >= own : this.available() === 0) return null;
    if (stream === null) {
      stream = { nsid, id, isOpen: true, isOwn, writes: 0, bytesWritten: 0 };
      this.streams.push(stream);
    }
    stream.isOpen = true;
    stream.isOwn = isOwn;
    return stream;
  }

  private ownOpen(nsid: number): number {
    return this.streams.filter((stream) => stream.isOpen && stream.isOwn && stream.nsid === nsid).length;
  }
}
