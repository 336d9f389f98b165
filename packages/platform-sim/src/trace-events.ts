/** The events the motherboard records, under QEMU's names where it has them. */
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
export const DMA_READ: TraceEventType = { name: 'dma_read', kind: 'dma', fields: ['bdf', 'addr', 'len', 'status'] };
export const DMA_WRITE: TraceEventType = { name: 'dma_write', kind: 'dma', fields: ['bdf', 'addr', 'len', 'status'] };
export const MSI_MESSAGE: TraceEventType = {
  name: 'msi_notify',
  kind: 'msi',
  fields: ['address', 'data', 'cpu', 'vector'],
};
export const INTX_LEVEL: TraceEventType = { name: 'pci_set_irq', kind: 'irq', fields: ['bdf', 'line', 'level'] };
