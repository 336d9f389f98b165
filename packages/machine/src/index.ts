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
  BLK_STS_OK,
  REQ_OP_READ,
  REQ_OP_WRITE,
  REQ_SYNC,
} from '@nvme-stack/blk-mq/ports';
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
  NVME_IOCTL_ADMIN_CMD,
  NVME_IOCTL_ADMIN64_CMD,
  NVME_IOCTL_ID,
  NVME_IOCTL_IO_CMD,
  NVME_IOCTL_IO64_CMD,
  NVME_IOCTL_IO64_CMD_VEC,
  NVME_IOCTL_RESCAN,
  NVME_IOCTL_RESET,
  NVME_IOCTL_SUBMIT_IO,
  NVME_IOCTL_SUBSYS_RESET,
  type NvmePassthruCmd,
  type NvmeUserIo,
} from '@nvme-stack/nvme-core/ports';
export {
  type MachineDescription,
  type MachineNamespace,
  type MachineNvme,
  machineSchema,
  PROFILES,
  type ResolvedMachine,
} from './description.js';
export {
  JOURNAL_SCHEMA_VERSION,
  type JournalJson,
  type JsonValue,
  journalFromJson,
  journalToJson,
} from './journal-json.js';
export { createMachine, replay } from './machine.js';
export type { MachineFunction, MachinePort, MachineRootPort } from './pci-description.js';
export * from './ports.js';
export { type JsonSchema, validate } from './schema.js';
