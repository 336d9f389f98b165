/**
 * Parameters of nvme_core under Linux's names. `multipath` and `iopolicy` are absent, as in a kernel without
 * CONFIG_NVME_MULTIPATH. Kernel counterpart: drivers/nvme/host/core.c module_param.
 */

/** Structurally a modules ModuleParam. */
export interface NvmeCoreParam {
  readonly name: string;
  readonly type: 'bool' | 'int' | 'uint' | 'ulong' | 'charp';
  readonly defaultValue: number | boolean | string;
  readonly mode: number;
  readonly description: string;
}

function tunable(
  name: string,
  type: NvmeCoreParam['type'],
  defaultValue: number | boolean,
  description: string,
): NvmeCoreParam {
  return { name, type, defaultValue, mode: 0o644, description };
}

/** @kernel drivers/nvme/host/core.c module_param */
export const NVME_CORE_PARAMS: readonly NvmeCoreParam[] = [
  tunable('admin_timeout', 'uint', 60, 'time-out of admin commands, seconds'),
  tunable('io_timeout', 'uint', 30, 'time-out of I/O commands, seconds'),
  tunable('shutdown_timeout', 'uint', 5, 'how long a shutdown may take, seconds'),
  tunable('max_retries', 'uint', 5, 'how often a failed command is sent again'),
  tunable(
    'default_ps_max_latency_us',
    'ulong',
    100000,
    'largest latency of an autonomous power state, microseconds; 0: no APST',
  ),
  tunable('force_apst', 'bool', false, 'APST even where a quirk forbids it'),
  tunable('apst_primary_timeout_ms', 'ulong', 100, 'idle time before a state of the primary tolerance'),
  tunable('apst_secondary_timeout_ms', 'ulong', 2000, 'idle time before a state of the secondary tolerance'),
  tunable('apst_primary_latency_tol_us', 'ulong', 15000, 'primary latency tolerance'),
  tunable('apst_secondary_latency_tol_us', 'ulong', 100000, 'secondary latency tolerance'),
];

/** The defaults by name. */
export function defaultParams(): Record<string, number | boolean | string> {
  const values: Record<string, number | boolean | string> = {};
  for (const { name, defaultValue } of NVME_CORE_PARAMS) values[name] = defaultValue;
  return values;
}
