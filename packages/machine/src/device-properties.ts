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
  logical_block_size: (value, nvme) => ({ namespaces: (nvme.namespaces ?? []).map((one) => ofBlocks(one, value)) }),
};

function ofBlocks(namespace: MachineNamespace, value: Value): MachineNamespace {
  return { ...namespace, logicalBlockSize: Number(value) as 512 | 4096 };
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
