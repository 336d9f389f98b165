/**
 * The front door: builds a whole machine from a description, boots it, and lets you load drivers and do I/O.
 *
 * @example
 * ```ts
 * import { createMachine } from '@nvme-stack/machine';
 *
 * const machine = await createMachine({ nvme: [{ namespaces: [{ sizeMiB: 64 }] }] });
 * await machine.modprobe('nvme');
 * const disk = machine.disk('nvme0n1');
 * await disk.write(0, new Uint8Array(4096).fill(7));
 * console.log((await disk.read(0, 4096))[0]); // 7
 * await machine.rmmod('nvme');
 * console.log(machine.leaks()); // []
 * ```
 *
 * @packageDocumentation
 */
export {
  type CallNode,
  type CallTreeOptions,
  callForest,
  callTree,
  functionGraphText,
  KernelError,
  type TraceEntry,
} from '@nvme-stack/kernel';
export {
  type MachineDescription,
  type MachineNamespace,
  type MachineNvme,
  machineSchema,
  PROFILES,
  type ResolvedMachine,
} from './description.js';
export { createMachine, replay } from './machine.js';
export * from './ports.js';
export { type JsonSchema, validate } from './schema.js';
