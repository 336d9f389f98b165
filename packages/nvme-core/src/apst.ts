/**
 * Autonomous power state transitions.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_configure_apst, nvme_set_latency_tolerance. [NVMe] 5.1.25 (FID 0Ch).
 */
import { traced } from '@nvme-stack/kernel';
import { NVME_FEAT_AUTO_PST, NVME_PS_FLAGS_NON_OP_STATE } from '@nvme-stack/nvme-protocol';
import type { Ctrl } from './ctrl.js';
import { ctrlLog } from './log.js';
import { NVME_CTRL_LIVE, NVME_QUIRK_NO_DEEPEST_PS } from './ports.js';
import { setFeatures } from './sync-command.js';

const TABLE_ENTRIES = 32;
const TABLE_BYTES = 8 * TABLE_ENTRIES;
const MAX_NPSS = 31;
/** ITPT has 24 bits of milliseconds. */
const MAX_IDLE_MS = 0xffffff;
/** Without primary and secondary tolerances: idle so many times the state's latency. */
const IDLE_PER_LATENCY = 50;

/** Which tolerance the next deeper state already used: each is given to one state only. */
interface Tolerances {
  last: number;
}

/**
 * The idle time in ms before a state of that latency is entered, or null when it is too slow. States are asked for
 * deepest first. @kernel drivers/nvme/host/core.c nvme_apst_get_transition_time
 */
function idleMs(ctrl: Ctrl, latencyUs: number, used: Tolerances): number | null {
  const { core } = ctrl;
  const primaryMs = core.number('apst_primary_timeout_ms');
  if (primaryMs === 0) {
    const ms = Math.floor((latencyUs + 19) / (1000 / IDLE_PER_LATENCY));
    return Math.min(ms, MAX_IDLE_MS);
  }
  if (latencyUs <= core.number('apst_primary_latency_tol_us')) {
    if (used.last === 1) return null;
    used.last = 1;
    return primaryMs;
  }
  const secondaryMs = core.number('apst_secondary_timeout_ms');
  if (secondaryMs === 0 || latencyUs > core.number('apst_secondary_latency_tol_us') || used.last <= 2) return null;
  used.last = 2;
  return secondaryMs;
}

/** For each state the deeper one to go to and when; entries are (ITPT << 8 | ITPS << 3). Exported for its test. */
export function apstTable(ctrl: Ctrl): Uint32Array {
  const table = new Uint32Array(2 * TABLE_ENTRIES);
  const used: Tolerances = { last: TABLE_ENTRIES };
  let target = 0;
  for (let state = ctrl.npss; state >= 0; state--) {
    table[2 * state] = target;
    const { flags, entryLat, exitLat } = ctrl.psd[state];
    if (state === ctrl.npss && ctrl.quirks & NVME_QUIRK_NO_DEEPEST_PS) continue;
    if ((flags & NVME_PS_FLAGS_NON_OP_STATE) === 0 || exitLat > ctrl.psMaxLatencyUs) continue;
    const ms = idleMs(ctrl, exitLat + entryLat, used);
    if (ms !== null) target = (state << 3) | (ms << 8);
  }
  return table;
}

/** Task context. @kernel drivers/nvme/host/core.c nvme_configure_apst */
export const nvmeConfigureApst = traced('nvme_configure_apst', async (ctrl: Ctrl): Promise<void> => {
  if (ctrl.apsta === 0) return;
  if (ctrl.npss > MAX_NPSS) {
    ctrlLog(ctrl, 'warn', 'NPSS is invalid; not using APST');
    return;
  }
  const enable = ctrl.apstEnabled && ctrl.psMaxLatencyUs > 0;
  const table = enable ? new Uint8Array(apstTable(ctrl).buffer) : new Uint8Array(TABLE_BYTES);
  const { status } = await setFeatures(ctrl, NVME_FEAT_AUTO_PST, enable ? 1 : 0, table);
  if (status !== 0) ctrlLog(ctrl, 'err', `failed to set APST feature (${status})`);
});

/** How slow a power state may be, microseconds; a live controller is told at once. @kernel drivers/nvme/host/core.c nvme_set_latency_tolerance */
export const nvmeSetLatencyTolerance = traced(
  'nvme_set_latency_tolerance',
  async (ctrl: Ctrl, us: number): Promise<void> => {
    if (ctrl.psMaxLatencyUs === us) return;
    ctrl.psMaxLatencyUs = us;
    if (ctrl.state === NVME_CTRL_LIVE) await nvmeConfigureApst(ctrl);
  },
);
