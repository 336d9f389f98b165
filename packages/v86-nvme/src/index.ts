// v86-nvme: an NVMe controller in a PCI slot of the v86 emulator.
// Kernel counterpart: none (the board).
export { attachNvme } from './attach.js';
export * from './ports.js';
