/**
 * drivers/pci/: enumeration, resources, matching, interrupts, reset and recovery, hot-plug, virtual functions.
 *
 * @packageDocumentation
 */
export { createPciBus } from './pci-bus.js';
export type { PciBusDeps, PciFaultPoint, PciFaults } from './pci-subsystem.js';
export * from './ports.js';
