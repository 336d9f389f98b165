/**
 * The module's parameters under Linux's names, by era.
 * Kernel counterpart: drivers/nvme/host/pci.c module_param(io_queue_depth) and its kin.
 */
import { KernelError, type KernelProfile } from '@nvme-stack/kernel';
import { NVME_DEFAULT_IO_QUEUE_DEPTH, NVME_MAX_IO_QUEUE_DEPTH, NVME_MIN_IO_QUEUE_DEPTH } from './limits.js';
import type { NvmePciParam } from './ports.js';

/** A parameter before the machine is known: the largest value may depend on its CPUs. */
export interface ParamSpec extends Omit<NvmePciParam, 'set'> {
  readonly min?: number;
  readonly max?: number | 'cpus';
}

const THREADED: ParamSpec = {
  name: 'use_threaded_interrupts',
  type: 'int',
  defaultValue: 0,
  mode: 0o444,
  description: 'completions are handled by a task for each interrupt',
};
const CMB_SQES: ParamSpec = {
  name: 'use_cmb_sqes',
  type: 'bool',
  defaultValue: true,
  mode: 0o444,
  description: "use controller's memory buffer for I/O SQes",
};
const HOST_MEM: ParamSpec = {
  name: 'max_host_mem_size_mb',
  type: 'uint',
  defaultValue: 128,
  mode: 0o444,
  description: 'Maximum Host Memory Buffer (HMB) size per controller (in MiB)',
};
const QUEUE_SETS: readonly ParamSpec[] = [
  {
    name: 'sgl_threshold',
    type: 'uint',
    defaultValue: 32768,
    mode: 0o644,
    description: 'SGLs are used from this average piece on, bytes; 0: never',
  },
  {
    name: 'io_queue_depth',
    type: 'uint',
    defaultValue: NVME_DEFAULT_IO_QUEUE_DEPTH,
    mode: 0o644,
    description: 'set io queue depth, should >= 2 and < 4096',
    min: NVME_MIN_IO_QUEUE_DEPTH,
    max: NVME_MAX_IO_QUEUE_DEPTH,
  },
  {
    name: 'write_queues',
    type: 'uint',
    defaultValue: 0,
    mode: 0o644,
    description: 'Number of queues to use for writes. If not set, reads and writes will share a queue set.',
    min: 0,
    max: 'cpus',
  },
  {
    name: 'poll_queues',
    type: 'uint',
    defaultValue: 0,
    mode: 0o644,
    description: 'Number of queues to use for polled IO.',
    min: 0,
    max: 'cpus',
  },
  {
    name: 'noacpi',
    type: 'bool',
    defaultValue: false,
    mode: 0o444,
    description: 'firmware is not asked whether the device must be off while the system sleeps',
  },
];
const MODERN: readonly ParamSpec[] = [THREADED, CMB_SQES, HOST_MEM, ...QUEUE_SETS];
/** Until 4.14 it could be changed while the module was loaded; the first was not to be seen. */
const V4_10: readonly ParamSpec[] = [
  { ...THREADED, mode: 0 },
  { ...CMB_SQES, mode: 0o644 },
];

/** Parameters by era, in the order in which the kernel has them. */
export const NVME_PARAM_LISTS: Readonly<Record<KernelProfile, readonly ParamSpec[]>> = {
  '6.12': MODERN,
  '6.1': MODERN,
  '4.13': [...V4_10, HOST_MEM],
  '4.10': V4_10,
};

/** Refuses what lies outside [min, max]. @kernel drivers/nvme/host/pci.c io_queue_depth_set, io_queue_count_set */
function within(name: string, min: number, max: number): (value: number | boolean | string) => number {
  return (value) => {
    if (typeof value === 'number' && value >= min && value <= max) return value;
    throw new KernelError('EINVAL', `nvme parameter ${name} is ${value}; allowed are ${min} to ${max}`);
  };
}

/** What the driver takes on a machine of `nrCpus`. */
export function nvmePciParams(specs: readonly ParamSpec[], nrCpus: number): readonly NvmePciParam[] {
  return specs.map(({ min, max, ...param }) => {
    if (min === undefined || max === undefined) return param;
    return { ...param, set: within(param.name, min, max === 'cpus' ? nrCpus : max) };
  });
}
