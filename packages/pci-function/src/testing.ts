// Test support for PCI functions: a fake board, a contract suite and a logging middleware.
// Kernel counterpart: none.
export * from './testing/contract.js';
export * from './testing/fake-pci-host.js';
export * from './testing/traced-pci-function.js';
