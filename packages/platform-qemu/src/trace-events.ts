/** The events the motherboard records, under the names platform-sim and QEMU give them. */
import type { TraceEventType } from '@nvme-stack/kernel';

export const MMIO_READ: TraceEventType = { name: 'mmio_read', kind: 'mmio', fields: ['addr', 'data', 'size', 'bdf'] };
export const MMIO_WRITE: TraceEventType = { name: 'mmio_write', kind: 'mmio', fields: ['addr', 'data', 'size', 'bdf'] };
export const CONFIG_READ: TraceEventType = {
  name: 'pci_cfg_read',
  kind: 'config',
  fields: ['bdf', 'addr', 'data', 'size'],
};
export const CONFIG_WRITE: TraceEventType = {
  name: 'pci_cfg_write',
  kind: 'config',
  fields: ['bdf', 'addr', 'data', 'size'],
};
export const MSI_MESSAGE: TraceEventType = {
  name: 'msi_notify',
  kind: 'msi',
  fields: ['address', 'data', 'cpu', 'vector'],
};
