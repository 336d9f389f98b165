/**
 * A motherboard that is a running QEMU: its PCI bus, its memory, its NVMe controllers, in real time.
 *
 * @packageDocumentation
 */
export { createPlatformQemu } from './platform-qemu.js';
export * from './ports.js';
export { createQemuClock } from './real-clock.js';
