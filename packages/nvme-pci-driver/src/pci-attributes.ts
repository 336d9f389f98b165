/**
 * Files of a controller that only PCI ones have: the memory buffers.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_pci_dev_attrs_group, nvme_update_attrs.
 */
import type { Attribute, AttributeGroup } from '@nvme-stack/device-core/ports';
import type { NvmeCtrl } from '@nvme-stack/nvme-core/ports';
import type { NvmeDev } from './dev.js';
import { storeHmb } from './host-mem.js';
import { toNvmeDev } from './registers.js';

/** Eight digits, as these files show registers. */
function hex8(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0');
}

/** The group of one controller. @kernel drivers/nvme/host/pci.c nvme_pci_dev_attrs_group */
export function nvmePciAttributeGroup(ctrl: NvmeCtrl): AttributeGroup {
  const dev = toNvmeDev(ctrl);
  dev.attributes ??= makeGroup(ctrl, dev);
  return dev.attributes;
}

function makeGroup(ctrl: NvmeCtrl, dev: NvmeDev): AttributeGroup {
  const { attributes, cmb } = dev.driver.features;
  const all: readonly Attribute[] = [
    { name: 'cmb', mode: 0o444, show: () => `cmbloc : x${hex8(dev.cmbloc)}\ncmbsz  : x${hex8(dev.cmbsz)}\n` },
    { name: 'cmbloc', mode: 0o444, show: () => `${dev.cmbloc}\n` },
    { name: 'cmbsz', mode: 0o444, show: () => `${dev.cmbsz}\n` },
    {
      name: 'hmb',
      mode: 0o644,
      show: () => (dev.hmb ? '1\n' : '0\n'),
      store: async (text) => await storeHmb(dev, text),
    },
  ];
  return {
    attributes: all.filter(({ name }) => attributes.includes(name)),
    isVisible: ({ name }) => {
      if (name === 'hmb') return ctrl.hmpre !== 0;
      return cmb.shownWhen === 'mapped' ? dev.cmb !== null : dev.cmbsz !== 0;
    },
  };
}

/** Shows what is there now; nothing when the controller is no longer shown at all. Task context. @kernel drivers/nvme/host/pci.c nvme_update_attrs */
export function nvmeUpdateAttrs(dev: NvmeDev): void {
  const { deviceCore } = dev.deps;
  const { kobj, registered } = dev.ctrl.device;
  if (!registered) return;
  const group = nvmePciAttributeGroup(dev.ctrl);
  deviceCore.sysfsRemoveGroup(kobj, group);
  deviceCore.sysfsCreateGroup(kobj, group);
}
