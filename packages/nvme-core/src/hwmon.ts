/**
 * Temperatures below /sys/class/hwmon, from the SMART log.
 * Kernel counterpart: drivers/nvme/host/hwmon.c. [NVMe] 5.1.12.1.3, 5.1.25 (FID 04h).
 *
 * A sysfs file is shown without sleeping here, so it shows the log read last; a task that is shown one older than a
 * second has a fresh log read in the background. Thresholds are the specification's defaults until they are written.
 */
import type { Attribute, Device } from '@nvme-stack/device-core/ports';
import { Errno, type HasKernel, type Kernel, KernelError, traced } from '@nvme-stack/kernel';
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
import type { WorkStruct } from '@nvme-stack/workqueue/ports';
import { nvmeWq } from './core.js';
import type { Ctrl } from './ctrl.js';
import { ctrlLog } from './log.js';
import { NVME_CTRL_LIVE, NVME_QUIRK_NO_SECONDARY_TEMP_THRESH, NVME_QUIRK_NO_TEMP_THRESH_CHANGE } from './ports.js';
import { throwErrno } from './status-map.js';
import { getLog, type NvmeDataResult, setFeatures } from './sync-command.js';

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
  readonly refresh: WorkStruct;
  log: Uint8Array;
  readAtNs: number;
  /** Kelvin, by channel: 0 is the composite, 1 to 8 the sensors. */
  readonly max: number[];
  readonly min: number[];
  device!: Device;

  constructor(ctrl: Ctrl, number: number) {
    this.kernel = ctrl.kernel;
    this.ctrl = ctrl;
    this.number = number;
    this.refresh = ctrl.core.workqueues.initWork('nvme_hwmon_refresh', this as Hwmon, readSmartLog);
    this.log = new Uint8Array(SMART_LOG_BYTES);
    this.readAtNs = 0;
    this.max = [ctrl.wctemp, ...new Array<number>(SENSORS).fill(0xffff)];
    this.min = new Array<number>(SENSORS + 1).fill(0);
  }
}

/** @kernel drivers/nvme/host/hwmon.c nvme_hwmon_get_smart_log */
async function readSmartLog(hwmon: Hwmon): Promise<void> {
  const { status, data } = await nvmeGetLog(hwmon.ctrl, NVME_LOG_SMART, SMART_LOG_BYTES);
  if (status !== 0) {
    ctrlLog(hwmon.ctrl, 'warn', `Failed to read smart log (error ${status})`);
    return;
  }
  hwmon.log = data;
  hwmon.readAtNs = hwmon.kernel.ex.now();
}

/** The log, and when it has aged another one soon. */
function smartLog(hwmon: Hwmon): ReturnType<typeof NvmeSmartLog.decode> {
  const { ctrl } = hwmon;
  const { ex } = hwmon.kernel;
  const old = ex.now() - hwmon.readAtNs > FRESH_NS;
  if (old && ex.context === 'task' && ctrl.state === NVME_CTRL_LIVE)
    ctrl.core.workqueues.queueWork(nvmeWq(ctrl.core), hwmon.refresh);
  return NvmeSmartLog.decode(hwmon.log);
}

function kelvin(hwmon: Hwmon, channel: number): number {
  const log = smartLog(hwmon);
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
  const type = under ? NVME_TEMP_THRESH_TYPE_UNDER : 0;
  const dword11 = (value | (channel << NVME_TEMP_THRESH_SELECT_SHIFT) | type) >>> 0;
  const { status } = await setFeatures(hwmon.ctrl, NVME_FEAT_TEMP_THRESH, dword11, null);
  if (status !== 0) throwErrno(status < 0 ? status : -Errno.EIO, `${hwmon.ctrl.name}: temperature threshold`);
  (under ? hwmon.min : hwmon.max)[channel] = value;
}

function channelAttributes(hwmon: Hwmon, channel: number): Attribute[] {
  const { ctrl } = hwmon;
  const prefix = `temp${channel + 1}_`;
  const shown = (name: string, show: () => string | number): Attribute => ({
    name: prefix + name,
    mode: 0o444,
    show: () => `${show()}\n`,
  });
  const list = [
    shown('input', () => milliCelsius(kelvin(hwmon, channel))),
    shown('label', () => (channel === 0 ? 'Composite' : `Sensor ${channel}`)),
  ];
  const thresholds = channel === 0 ? ctrl.wctemp !== 0 : (ctrl.quirks & NVME_QUIRK_NO_SECONDARY_TEMP_THRESH) === 0;
  if (thresholds) {
    const fixed = (ctrl.quirks & NVME_QUIRK_NO_TEMP_THRESH_CHANGE) !== 0;
    const threshold = (name: string, under: boolean): Attribute => ({
      name: prefix + name,
      mode: fixed ? 0o444 : 0o644,
      show: () => `${milliCelsius((under ? hwmon.min : hwmon.max)[channel])}\n`,
      store: fixed ? undefined : async (text) => await setThreshold(hwmon, channel, under, text),
    });
    list.push(threshold('max', false), threshold('min', true));
  }
  if (channel === 0) {
    if (ctrl.cctemp !== 0) list.push(shown('crit', () => milliCelsius(ctrl.cctemp)));
    list.push(shown('alarm', () => (smartLog(hwmon).criticalWarning & NVME_SMART_CRIT_TEMPERATURE ? 1 : 0)));
  }
  return list;
}

/** Reads the SMART log and makes the files; a controller without one does without. Task context. @kernel drivers/nvme/host/hwmon.c nvme_hwmon_init */
export const nvmeHwmonInit = traced('nvme_hwmon_init', async (ctrl: Ctrl): Promise<void> => {
  const { core } = ctrl;
  const hwmon = new Hwmon(ctrl, core.hwmonNumbers.alloc());
  await readSmartLog(hwmon);
  if (hwmon.readAtNs === 0) {
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
  await core.deviceCore.deviceAdd(hwmon.device);
  ctrl.hwmon = hwmon;
});

/** Removes the files. Task context. @kernel drivers/nvme/host/hwmon.c nvme_hwmon_exit */
export async function nvmeHwmonExit(ctrl: Ctrl): Promise<void> {
  const hwmon = ctrl.hwmon as Hwmon | null;
  if (hwmon === null) return;
  ctrl.hwmon = null;
  await ctrl.core.workqueues.cancelWorkSync(hwmon.refresh);
  await ctrl.core.deviceCore.deviceDel(hwmon.device);
  ctrl.core.deviceCore.putDevice(hwmon.device);
  ctrl.core.hwmonNumbers.free(hwmon.number);
}
