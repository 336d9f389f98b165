// Virtual functions in a description: how many, and what of the controller's queues and vectors they may have.
// Kernel counterpart: none. Spec: [SR-IOV] 1.1 §3.3, [NVMe] 2.0 §8.26; the names and limits are QEMU's (sriov_max_vfs, …).
import type { InterruptsDescription, VersionDescription } from '../hardware-description.js';
import { checkNumber, refuse } from '../refuse.js';

/** The virtual functions as a user writes them. */
export interface SriovDescription {
  /** Most virtual functions, each a secondary controller over the same namespaces; 0 unless told: no SR-IOV. */
  readonly sriovMaxVfs?: number;
  /** Queue pairs (admin queues count) that can be given to virtual functions; half of them unless told. */
  readonly sriovVqFlexible?: number;
  /** Interrupt vectors that can be given to virtual functions; half of them unless told. */
  readonly sriovViFlexible?: number;
  /** Most queue pairs of one virtual function; an even share unless told, or 0. */
  readonly sriovMaxVqPerVf?: number;
  /** Most vectors of one virtual function; an even share unless told, or 0. */
  readonly sriovMaxViPerVf?: number;
  /** True unless told: VF Enable gives a virtual function without resources what it may have at most, and puts it online. False: both is the host's to do, by Virtualization Management, as with QEMU. */
  readonly sriovVfsOnline?: boolean;
}

/** The virtual functions, checked and filled in. */
export interface ResolvedSriov {
  readonly maxVfs: number;
  readonly vqFlexible: number;
  readonly viFlexible: number;
  readonly maxVqPerVf: number;
  readonly maxViPerVf: number;
  readonly vfsOnline: boolean;
}

/** What else in a description bears on them. */
interface SriovSurroundings {
  readonly maxIoQueuePairs: number;
  readonly msixVectors: number;
  readonly interrupts: InterruptsDescription;
  readonly version: VersionDescription;
  readonly cmb: object | null;
  readonly streams: object | null;
}

/** The Secondary Controller List has no room for more. */
const MAX_VFS = 127;
/** An admin queue pair and one for I/O. */
const LEAST_VQ_PER_VF = 2;
/** Queue pairs the primary controller keeps: an admin queue pair and two for I/O. */
const LEAST_VQ_OF_PRIMARY = 3;
const NAMES = ['sriovVqFlexible', 'sriovViFlexible', 'sriovMaxVqPerVf', 'sriovMaxViPerVf', 'sriovVfsOnline'] as const;

/** Checks the virtual functions; null without any. Throws one RangeError that names field, value and what is allowed. */
export function resolveSriov(description: SriovDescription, around: SriovSurroundings): ResolvedSriov | null {
  const { sriovMaxVfs: maxVfs = 0, sriovVfsOnline: vfsOnline = true } = description;
  checkNumber('sriovMaxVfs', maxVfs, 0, MAX_VFS);
  if (maxVfs === 0) {
    for (const name of NAMES)
      if (description[name]) refuse(name, description[name], 'absent where there are no sriovMaxVfs');
    return null;
  }
  checkSurroundings(maxVfs, around);
  if (typeof vfsOnline !== 'boolean') refuse('sriovVfsOnline', vfsOnline, 'true or false');
  const queues = around.maxIoQueuePairs + 1;
  const vqFlexible = description.sriovVqFlexible ?? share(queues, maxVfs, LEAST_VQ_PER_VF);
  const viFlexible = description.sriovViFlexible ?? share(around.msixVectors, maxVfs, 1);
  const vqLeast = LEAST_VQ_PER_VF * maxVfs;
  checkFlexible('sriovVqFlexible', vqFlexible, vqLeast, queues - LEAST_VQ_OF_PRIMARY, 'maxIoQueuePairs');
  checkFlexible('sriovViFlexible', viFlexible, maxVfs, around.msixVectors - 1, 'msixVectors');
  const maxVqPerVf = description.sriovMaxVqPerVf || Math.floor(vqFlexible / maxVfs);
  const maxViPerVf = description.sriovMaxViPerVf || Math.floor(viFlexible / maxVfs);
  checkNumber('sriovMaxVqPerVf', maxVqPerVf, LEAST_VQ_PER_VF, vqFlexible);
  checkNumber('sriovMaxViPerVf', maxViPerVf, 1, viFlexible);
  return { maxVfs, vqFlexible, viFlexible, maxVqPerVf, maxViPerVf, vfsOnline };
}

function checkSurroundings(maxVfs: number, { interrupts, version, cmb, streams }: SriovSurroundings): void {
  if (interrupts !== 'msix') refuse('sriovMaxVfs', maxVfs, `0 where interrupts is ${JSON.stringify(interrupts)}`);
  if (version < '1.3')
    refuse('sriovMaxVfs', maxVfs, `0 where version is ${version}: secondary controllers came with 1.3`);
  if (cmb !== null) refuse('sriovMaxVfs', maxVfs, '0 where there is a cmb');
  if (streams !== null) refuse('sriovMaxVfs', maxVfs, '0 where there are streams');
}

/** Half of what there is, the same for each, and as much as each needs at least. */
function share(total: number, maxVfs: number, least: number): number {
  return maxVfs * Math.max(least, Math.floor(Math.floor(total / 2) / maxVfs));
}

function checkFlexible(field: string, value: number, least: number, most: number, bound: string): void {
  if (least > most) refuse(field, value, `${least} or more, for which ${bound} must be ${least - most} larger`);
  checkNumber(field, value, least, most);
}
