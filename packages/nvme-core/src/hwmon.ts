/**
 * Temperatures below /sys/class/hwmon, from the SMART log.
 * Kernel counterpart: drivers/nvme/host/hwmon.c. [NVMe] 5.1.12.1.3, 5.1.25 (FID 04h).
 *
 * Who reads a temperature has the log read that is older than a second; thresholds are asked of the controller each time.
 * What is shown without waiting is what was read last.
 */
import type { Attribute, Device } from '@nvme-stack/device-core/ports';
import { type HasKernel, type Kernel, KernelError, Mutex, traced, withMutex } from '@nvme-stack/kernel';
import {
  NVME_CSI_NVM,
  NVME_FEAT_TEMP_THRESH,
  NVME_LOG_SMART,
  NVME_NSID_ALL,
  NVME_SMART_CRIT_TEMPERATURE,
  NVME_TEMP_THRESH_SELECT_SHIFT,
  NVME_TEMP_THRESH_TYPE_UNDER,
  NvmeSmartLog,
} from '@nvme-stack/nvme-protocol';
import type { Ctrl } from './ctrl.js';
import { ctrlLog } from './log.js';
import { NVME_QUIRK_NO_SECONDARY_TEMP_THRESH, NVME_QUIRK_NO_TEMP_THRESH_CHANGE } from './ports.js';
import { throwErrno } from './status-map.js';
import { getFeatures, getLog, type NvmeDataResult, setFeatures } from './sync-command.js';

const SMART_LOG_BYTES = 512;
const FRESH_NS = 1e9;
/** 0 K in m°C. */
const ZERO_KELVIN_MC = -273150;
const SENSORS = 8;

/** As hwmon calls it. @kernel drivers/nvme/host/core.c nvme_get_log */
const nvmeGetLog = traced(
  'nvme_get_log',
  async (ctrl: Ctrl, lid: number, lengthBytes: number): Promise<NvmeDataResult> =>
    await getLog(ctrl, NVME_NSID_ALL, lid, NVME_CSI_NVM, lengthBytes),
);

/** @kernel drivers/nvme/host/hwmon.c nvme_hwmon_data */
class Hwmon implements HasKernel {
  readonly kernel: Kernel;
  readonly ctrl: Ctrl;
  readonly number: number;
  readonly readLock: Mutex;
  log: Uint8Array;
  /** When somebody last had the log read; -1: nobody yet. */
  updatedNs: number;
  /** Kelvin, by channel: 0 is the composite, 1 to 8 the sensors. */
  readonly max: number[];
  readonly min: number[];
  device!: Device;

  constructor(ctrl: Ctrl, number: number) {
    this.kernel = ctrl.kernel;
    this.ctrl = ctrl;
    this.number = number;
    this.readLock = new Mutex(ctrl.kernel, `${ctrl.name} read_lock`);
    this.log = new Uint8Array(SMART_LOG_BYTES);
    this.updatedNs = -1;
    this.max = [ctrl.wctemp, ...new Array<number>(SENSORS).fill(0xffff)];
    this.min = new Array<number>(SENSORS + 1).fill(0);
  }
}

/** NVMe status, or a negative errno. @kernel drivers/nvme/host/hwmon.c nvme_hwmon_get_smart_log */
async function nvmeHwmonGetSmartLog(hwmon: Hwmon): Promise<number> {
  const { status, data } = await nvmeGetLog(hwmon.ctrl, NVME_LOG_SMART, SMART_LOG_BYTES);
  if (status === 0) hwmon.log = data;
  return status;
}

/** What keeps a file from being read or written. */
function refuse(hwmon: Hwmon, status: number, what: string): void {
  if (status < 0) throwErrno(status, `${hwmon.ctrl.name}: ${what}`);
  if (status > 0) throw new KernelError('EIO', `${hwmon.ctrl.name}: ${what}, status ${status}`);
}

/** A log not older than a second. Throws EIO. @kernel drivers/nvme/host/hwmon.c nvme_hwmon_read */
async function freshLog(hwmon: Hwmon): Promise<void> {
  await withMutex(hwmon.readLock, async () => {
    const { ex } = hwmon.kernel;
    if (hwmon.updatedNs >= 0 && ex.now() - hwmon.updatedNs <= FRESH_NS) return;
    refuse(hwmon, await nvmeHwmonGetSmartLog(hwmon), 'smart log');
    hwmon.updatedNs = ex.now();
  });
}

function kelvin(hwmon: Hwmon, channel: number): number {
  const log = NvmeSmartLog.decode(hwmon.log);
  return channel === 0 ? log.temperature[0] | (log.temperature[1] << 8) : log.tempSensor[channel - 1];
}

function milliCelsius(degreesKelvin: number): number {
  return degreesKelvin * 1000 + ZERO_KELVIN_MC;
}

/** Sets a threshold. [NVMe] 5.1.25 (FID 04h). @kernel drivers/nvme/host/hwmon.c nvme_set_temp_thresh */
async function setThreshold(hwmon: Hwmon, channel: number, under: boolean, text: string): Promise<void> {
  const mc = Number(text.trim());
  if (text.trim() === '' || !(mc === Math.floor(mc))) throw new KernelError('EINVAL', 'temperature in m°C');
  const value = Math.max(0, Math.min(0xffff, Math.floor((mc - ZERO_KELVIN_MC + 500) / 1000)));
  const dword11 = (value | thresholdOf(channel, under)) >>> 0;
  const { status } = await setFeatures(hwmon.ctrl, NVME_FEAT_TEMP_THRESH, dword11, null);
  refuse(hwmon, status, 'temperature threshold');
  (under ? hwmon.min : hwmon.max)[channel] = value;
}

/** Which threshold of dword 11 is meant. */
function thresholdOf(channel: number, under: boolean): number {
  return (channel << NVME_TEMP_THRESH_SELECT_SHIFT) | (under ? NVME_TEMP_THRESH_TYPE_UNDER : 0);
}

/** Throws EIO. @kernel drivers/nvme/host/hwmon.c nvme_get_temp_thresh */
async function readThreshold(hwmon: Hwmon, channel: number, under: boolean): Promise<void> {
  const answer = await getFeatures(hwmon.ctrl, NVME_FEAT_TEMP_THRESH, thresholdOf(channel, under));
  refuse(hwmon, answer.status, 'temperature threshold');
  (under ? hwmon.min : hwmon.max)[channel] = answer.result & 0xffff;
}

function channelAttributes(hwmon: Hwmon, channel: number): Attribute[] {
  const { ctrl } = hwmon;
  const prefix = `temp${channel + 1}_`;
  const shown = (name: string, show: () => string | number): Attribute => ({
    name: prefix + name,
    mode: 0o444,
    show: () => `${show()}\n`,
  });
  const fetch = async (): Promise<void> => await freshLog(hwmon);
  const list: Attribute[] = [
    { ...shown('input', () => milliCelsius(kelvin(hwmon, channel))), fetch },
    shown('label', () => (channel === 0 ? 'Composite' : `Sensor ${channel}`)),
  ];
  const thresholds = channel === 0 ? ctrl.wctemp !== 0 : (ctrl.quirks & NVME_QUIRK_NO_SECONDARY_TEMP_THRESH) === 0;
  if (thresholds) {
    const fixed = (ctrl.quirks & NVME_QUIRK_NO_TEMP_THRESH_CHANGE) !== 0;
    const threshold = (name: string, under: boolean): Attribute => ({
      name: prefix + name,
      mode: fixed ? 0o444 : 0o644,
      fetch: async () => await readThreshold(hwmon, channel, under),
      show: () => `${milliCelsius((under ? hwmon.min : hwmon.max)[channel])}\n`,
      store: fixed ? undefined : async (text) => await setThreshold(hwmon, channel, under, text),
    });
    list.push(threshold('max', false), threshold('min', true));
  }
  if (channel === 0) {
    if (ctrl.cctemp !== 0) list.push(shown('crit', () => milliCelsius(ctrl.cctemp)));
    const alarm = (): number => NvmeSmartLog.decode(hwmon.log).criticalWarning & NVME_SMART_CRIT_TEMPERATURE;
    list.push({ ...shown('alarm', () => (alarm() === 0 ? 0 : 1)), fetch });
  }
  return list;
}

/** Reads the SMART log and makes the files; a controller without one does without. Task context. @kernel drivers/nvme/host/hwmon.c nvme_hwmon_init */
export const nvmeHwmonInit = traced('nvme_hwmon_init', async (ctrl: Ctrl): Promise<void> => {
  const { core } = ctrl;
  const hwmon = new Hwmon(ctrl, core.hwmonNumbers.alloc());
  const status = await nvmeHwmonGetSmartLog(hwmon);
  if (status !== 0) {
    ctrlLog(ctrl, 'warn', `Failed to read smart log (error ${status})`);
    core.hwmonNumbers.free(hwmon.number);
    return;
  }
  const log = NvmeSmartLog.decode(hwmon.log);
  const channels = [0];
  for (let i = 1; i <= SENSORS; i++) if (log.tempSensor[i - 1] !== 0) channels.push(i);
  const name: Attribute = { name: 'name', mode: 0o444, show: () => 'nvme\n' };
  const attributes = [name, ...channels.flatMap((channel) => channelAttributes(hwmon, channel))];
  hwmon.device = core.deviceCore.deviceInitialize({
    name: `hwmon${hwmon.number}`,
    parent: ctrl.device,
    container: hwmon,
    class: core.hwmonClass,
    noSysfsParentDir: true,
    groups: [{ attributes }],
  });
  try {
    await core.deviceCore.deviceAdd(hwmon.device);
  } catch (error) {
    if (!KernelError.is(error)) throw error;
    ctrlLog(ctrl, 'warn', 'Failed to instantiate hwmon device');
    core.deviceCore.putDevice(hwmon.device);
    core.hwmonNumbers.free(hwmon.number);
    return;
  }
  ctrl.hwmon = hwmon;
});

/** Removes the files. Task context. @kernel drivers/nvme/host/hwmon.c nvme_hwmon_exit */
export async function nvmeHwmonExit(ctrl: Ctrl): Promise<void> {
  const hwmon = ctrl.hwmon as Hwmon | null;
  if (hwmon === null) return;
  ctrl.hwmon = null;
  await ctrl.core.deviceCore.deviceDel(hwmon.device);
  ctrl.core.deviceCore.putDevice(hwmon.device);
  ctrl.core.hwmonNumbers.free(hwmon.number);
}
