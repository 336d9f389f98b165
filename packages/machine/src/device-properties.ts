/**
 * Properties under QEMU's names for our own controller, so that one description fits both. What it does not have is
 * refused with one sentence; QEMU takes it.
 */
import type { MachineNamespace, MachineNvme } from './description.js';

type Value = string | number | boolean;

/** Ids of the Intel device that QEMU's `use-intel-id` stands for. */
const INTEL = { vendorId: 0x8086, deviceId: 0x5845 } as const;

const ON: ReadonlySet<Value> = new Set<Value>([true, 'on', 'true', 'yes']);

/** What each property is in a description; numbers may come as text, as in a command line. */
const MEANINGS: Readonly<Record<string, (value: Value, nvme: MachineNvme) => Partial<MachineNvme>>> = {
  serial: (value) => ({ serial: String(value) }),
  mdts: (value) => ({ mdts: Number(value) }),
  aerl: (value) => ({ aerLimit: Number(value) }),
  max_ioqpairs: (value) => ({ maxIoQueuePairs: Number(value) }),
  msix_qsize: (value) => ({ msixVectors: Number(value) }),
  cmb_size_mb: (value, nvme) =>
    Number(value) === 0 ? {} : { cmb: { ...nvme.cmb, sizeMiB: Number(value) } as MachineNvme['cmb'] },
  'legacy-cmb': (value, nvme) => ({ cmb: { ...nvme.cmb, legacy: ON.has(value) } as MachineNvme['cmb'] }),
  // As with QEMU's device, what a virtual function has and whether it is online is the host's to say.
  sriov_max_vfs: (value) => ({ sriovMaxVfs: Number(value), sriovVfsOnline: false }),
  sriov_vq_flexible: (value) => ({ sriovVqFlexible: Number(value) }),
  sriov_vi_flexible: (value) => ({ sriovViFlexible: Number(value) }),
  sriov_max_vq_per_vf: (value) => ({ sriovMaxVqPerVf: Number(value) }),
  sriov_max_vi_per_vf: (value) => ({ sriovMaxViPerVf: Number(value) }),
  'use-intel-id': (value) => (ON.has(value) ? { pci: INTEL } : {}),
  logical_block_size: (value, nvme) => ofNamespaces(nvme, { logicalBlockSize: Number(value) as 512 | 4096 }),
  ms: (value, nvme) => ofNamespaces(nvme, { metadataBytes: Number(value) as 0 | 8 | 16 | 64 }),
  mset: (value, nvme) => ofNamespaces(nvme, { metadataExtended: oneOrZero(value) }),
  pi: (value, nvme) => ofNamespaces(nvme, { protectionType: Number(value) as 0 | 1 | 2 | 3 }),
  pil: (value, nvme) => ofNamespaces(nvme, { protectionFirst: oneOrZero(value) }),
};

function ofNamespaces(nvme: MachineNvme, fields: Partial<MachineNamespace>): Partial<MachineNvme> {
  return { namespaces: (nvme.namespaces ?? []).map((one) => ({ ...one, ...fields })) };
}

/** What is neither stays what it is, to be refused by name. */
function oneOrZero(value: Value): boolean {
  const number = Number(value);
  return number === 0 || number === 1 ? number === 1 : (value as boolean);
}

/** A description without properties: they are fields now. Throws RangeError for one that our controller does not have. */
export function withProperties(nvme: MachineNvme, path: string): MachineNvme {
  const { properties, ...fields } = nvme;
  let plain: MachineNvme = fields;
  for (const [name, value] of Object.entries(properties ?? {})) {
    const meaning = MEANINGS[name];
    if (meaning === undefined) {
      const allowed = Object.keys(MEANINGS).join(', ');
      throw new RangeError(
        `${path}.properties.${name} is only QEMU's to offer; allowed with platform "sim": ${allowed}`,
      );
    }
    plain = { ...plain, ...meaning(value, plain) };
  }
  return plain;
}
