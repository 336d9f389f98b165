/**
 * The module's parameters under Linux's names.
 * Kernel counterpart: drivers/nvme/host/pci.c module_param(io_queue_depth) and its kin.
 */
import { KernelError } from '@nvme-stack/kernel';
import { NVME_DEFAULT_IO_QUEUE_DEPTH, NVME_MAX_IO_QUEUE_DEPTH, NVME_MIN_IO_QUEUE_DEPTH } from './limits.js';
import type { NvmePciParam } from './ports.js';

/** Refuses what lies outside [min, max]. @kernel drivers/nvme/host/pci.c io_queue_depth_set, io_queue_count_set */
function within(name: string, min: number, max: number): (value: number | boolean | string) => number {
  return (value) => {
    if (typeof value === 'number' && value >= min && value <= max) return value;
    throw new KernelError('EINVAL', `nvme parameter ${name} is ${value}; allowed are ${min} to ${max}`);
  };
}

/** What the driver takes on a machine of `nrCpus`. */
export function nvmePciParams(nrCpus: number): readonly NvmePciParam[] {
  return [
    {
      name: 'io_queue_depth',
      type: 'uint',
      defaultValue: NVME_DEFAULT_IO_QUEUE_DEPTH,
      mode: 0o644,
      description: 'set io queue depth, should >= 2 and < 4096',
      set: within('io_queue_depth', NVME_MIN_IO_QUEUE_DEPTH, NVME_MAX_IO_QUEUE_DEPTH),
    },
    {
      name: 'write_queues',
      type: 'uint',
      defaultValue: 0,
      mode: 0o644,
      description: 'Number of queues to use for writes. If not set, reads and writes will share a queue set.',
      set: within('write_queues', 0, nrCpus),
    },
    {
      name: 'poll_queues',
      type: 'uint',
      defaultValue: 0,
      mode: 0o644,
      description: 'Number of queues to use for polled IO.',
      set: within('poll_queues', 0, nrCpus),
    },
  ];
}
