// pci-function: the device's side of PCI, and the registers both sides name.
// Kernel counterpart: include/uapi/linux/pci_regs.h.
export * from './bar.js';
export * from './capabilities.js';
export * from './config-space.js';
export * from './endpoint.js';
export * from './ext-capabilities.js';
export * from './header.js';
export * from './msi.js';
export * from './msix.js';
export * from './pci-regs.js';
export * from './ports.js';
export * from './sriov.js';
