/**
 * A motherboard in-process: PCIe root complex, interrupt controllers, memory checks, in virtual time.
 *
 * @packageDocumentation
 */
export { type ChipsetFunction, PlainFunction, q35Functions } from './chipset.js';
export { createPlatformSim } from './platform-sim.js';
export * from './ports.js';
