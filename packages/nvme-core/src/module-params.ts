/**
 * Parameters of nvme_core under Linux's names, by era.
 * Kernel counterpart: drivers/nvme/host/core.c and multipath.c, module_param.
 */
import { KernelError, type KernelProfile } from '@nvme-stack/kernel';

/** Structurally a modules ModuleParam. */
export interface NvmeCoreParam {
  readonly name: string;
  readonly type: 'bool' | 'int' | 'uint' | 'ulong' | 'charp';
  readonly defaultValue: number | boolean | string;
  readonly mode: number;
  readonly description: string;
  /** Refuses a value by throwing ERANGE or EINVAL. */
  set?(value: number | boolean | string): number | boolean | string;
}

function tunable(
  name: string,
  type: NvmeCoreParam['type'],
  defaultValue: number | boolean,
  description: string,
): NvmeCoreParam {
  return { name, type, defaultValue, mode: 0o644, description };
}

/** A byte. Throws ERANGE. @kernel include/linux/moduleparam.h param_set_byte */
function byte(name: string, defaultValue: number, description: string): NvmeCoreParam {
  const set = (value: number | boolean | string): number => {
    if (typeof value === 'number' && value <= 0xff) return value;
    throw new KernelError('ERANGE', `nvme_core parameter ${name} is ${value}; allowed are 0 to 255`);
  };
  return { ...tunable(name, 'uint', defaultValue, description), set };
}

const ADMIN_TIMEOUT = 'time-out of admin commands, seconds';
const IO_TIMEOUT = 'time-out of I/O commands, seconds';
const SHUTDOWN_TIMEOUT = byte('shutdown_timeout', 5, 'how long a shutdown may take, seconds');
const MAX_RETRIES = 'how often a failed command is sent again';
const APST: readonly NvmeCoreParam[] = [
  tunable(
    'default_ps_max_latency_us',
    'ulong',
    100000,
    'largest latency of an autonomous power state, microseconds; 0: no APST',
  ),
  tunable('force_apst', 'bool', false, 'APST even where a quirk forbids it'),
];
const MODERN: readonly NvmeCoreParam[] = [
  tunable('admin_timeout', 'uint', 60, ADMIN_TIMEOUT),
  tunable('io_timeout', 'uint', 30, IO_TIMEOUT),
  SHUTDOWN_TIMEOUT,
  byte('max_retries', 5, MAX_RETRIES),
  ...APST,
  tunable('apst_primary_timeout_ms', 'ulong', 100, 'idle time before a state of the primary tolerance'),
  tunable('apst_secondary_timeout_ms', 'ulong', 2000, 'idle time before a state of the secondary tolerance'),
  tunable('apst_primary_latency_tol_us', 'ulong', 15000, 'primary latency tolerance'),
  tunable('apst_secondary_latency_tol_us', 'ulong', 100000, 'secondary latency tolerance'),
];
/** How a path is chosen among several. @kernel drivers/nvme/host/multipath.c nvme_iopolicy_names */
export const POLICY_NAMES = ['numa', 'round-robin', 'queue-depth'] as const;
export type PolicyName = (typeof POLICY_NAMES)[number];

/** The first letters decide. Throws EINVAL. @kernel drivers/nvme/host/multipath.c nvme_set_iopolicy */
function ioPolicy(allowed: readonly PolicyName[]): NvmeCoreParam {
  const set = (value: number | boolean | string): string => {
    const policy = allowed.find((name) => String(value).startsWith(name));
    if (policy !== undefined) return policy;
    throw new KernelError('EINVAL', `nvme_core parameter iopolicy is ${value}; allowed are ${allowed.join(', ')}`);
  };
  const description = 'how new subsystems choose among the paths of a namespace';
  return { name: 'iopolicy', type: 'charp', defaultValue: 'numa', mode: 0o644, description, set };
}

const MULTIPATH: NvmeCoreParam = {
  name: 'multipath',
  type: 'bool',
  defaultValue: true,
  mode: 0o444,
  description: 'a namespace that several controllers share is one disk',
};
/** Formats whose protection information was not looked at by older kernels may hold none. */
const DISABLE_PI_OFFSETS: NvmeCoreParam = {
  name: 'disable_pi_offsets',
  type: 'bool',
  defaultValue: false,
  mode: 0o444,
  description: 'disable protection information if it has an offset',
};
/** Not to be seen in sysfs. */
const CHAR_MAJOR: NvmeCoreParam = {
  name: 'nvme_char_major',
  type: 'int',
  defaultValue: 0,
  mode: 0,
  description: 'major number of /dev/nvme0 and its like; 0: any that is free',
};
/** Switches Streams on where a controller has directives. */
const STREAMS = tunable('streams', 'bool', false, 'Streams, for controllers that have directives');
const V4_TIMEOUTS: readonly NvmeCoreParam[] = [
  byte('admin_timeout', 60, ADMIN_TIMEOUT),
  byte('io_timeout', 30, IO_TIMEOUT),
  SHUTDOWN_TIMEOUT,
];

/** By era, in the order in which the kernel has them. @kernel drivers/nvme/host/core.c module_param */
export const NVME_CORE_PARAM_LISTS: Readonly<Record<KernelProfile, readonly NvmeCoreParam[]>> = {
  '6.12': [...MODERN, DISABLE_PI_OFFSETS, MULTIPATH, ioPolicy(POLICY_NAMES)],
  '6.1': [...MODERN, MULTIPATH, ioPolicy(['numa', 'round-robin'])],
  '4.13': [...V4_TIMEOUTS, byte('max_retries', 5, MAX_RETRIES), CHAR_MAJOR, ...APST, STREAMS],
  '4.10': [...V4_TIMEOUTS, tunable('max_retries', 'uint', 5, MAX_RETRIES), CHAR_MAJOR],
};

/** The defaults by name. */
export function defaultParams(profile: KernelProfile): Record<string, number | boolean | string> {
  const values: Record<string, number | boolean | string> = {};
  for (const { name, defaultValue } of NVME_CORE_PARAM_LISTS[profile]) values[name] = defaultValue;
  return values;
}
