/**
 * What the NVMe PCI driver needs and offers. Types only. Counterpart: drivers/nvme/host/pci.c (nvme.ko).
 */
import type { BlkMq } from '@nvme-stack/blk-mq/ports';
import type { DeviceCore, Dmi } from '@nvme-stack/device-core/ports';
import type { Irqs } from '@nvme-stack/irq/ports';
import type { Kernel } from '@nvme-stack/kernel';
import type { NvmeCore, NvmeCtrl } from '@nvme-stack/nvme-core/ports';
import type { PciBus } from '@nvme-stack/pci-bus/ports';
import type { Workqueues } from '@nvme-stack/workqueue/ports';

/** The subsystems the driver stands on; any of them may be another implementation. */
export interface NvmePciDriverDeps {
  readonly kernel: Kernel;
  readonly nvmeCore: NvmeCore;
  readonly pciBus: PciBus;
  readonly blkMq: BlkMq;
  readonly deviceCore: DeviceCore;
  readonly irqs: Irqs;
  readonly workqueues: Workqueues;
  /** Who made the machine: some drives have quirks on some machines only. */
  readonly dmi: Pick<Dmi, 'match'>;
}

/** A module parameter as the module loader takes it. */
export interface NvmePciParam {
  readonly name: string;
  readonly type: 'bool' | 'int' | 'uint' | 'ulong' | 'charp';
  readonly defaultValue: number | boolean | string;
  readonly mode: number;
  readonly description: string;
  set?(value: number | boolean | string): number | boolean | string;
}

/** What a user may know of a queue. */
export interface NvmeQueueInfo {
  readonly qid: number;
  readonly depth: number;
  /** Vector index; -1: polled. */
  readonly vector: number;
  readonly polled: boolean;
  readonly sqTail: number;
  readonly cqHead: number;
  readonly cqPhase: number;
  readonly cpus: readonly number[];
}

/** nvme.ko of one machine. */
export interface NvmePciDriver {
  readonly params: readonly NvmePciParam[];
  /** Registers the PCI driver. Task context. @kernel drivers/nvme/host/pci.c nvme_init */
  nvmeInit(params: Readonly<Record<string, number | boolean | string>>): Promise<void>;
  /** Unbinds every controller. Task context. @kernel drivers/nvme/host/pci.c nvme_exit */
  nvmeExit(): Promise<void>;
  /** The queues of a controller that this driver drives. */
  queues(ctrl: NvmeCtrl): readonly NvmeQueueInfo[];
}
