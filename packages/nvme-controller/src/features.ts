// Feature values: current and default, and what each feature can do. Nothing is saveable.
// Kernel counterpart: include/linux/nvme.h NVME_FEAT_*. Spec: [NVMe] 2.0 §5.15, §5.27.1.
import * as nvme from '@nvme-stack/nvme-protocol';
import type { Allotment } from './allotment.js';
import type { ResolvedController } from './description.js';

const CHANGEABLE = nvme.FeatureCapabilities.CHANGEABLE.mask;
const NAMESPACE_SPECIFIC = nvme.FeatureCapabilities.NSSPEC.mask;

/** Composite temperature at which the controller warns, and at which it is critical, in Kelvin. */
export const TEMPERATURE_WARNING = 0x157;
export const TEMPERATURE_CRITICAL = 0x175;

/** Capabilities of each feature that every controller has. */
const FEATURE_CAPABILITIES: ReadonlyMap<number, number> = new Map([
  [nvme.NVME_FEAT_ARBITRATION, 0],
  [nvme.NVME_FEAT_POWER_MGMT, 0],
  [nvme.NVME_FEAT_TEMP_THRESH, CHANGEABLE],
  [nvme.NVME_FEAT_ERR_RECOVERY, CHANGEABLE | NAMESPACE_SPECIFIC],
  [nvme.NVME_FEAT_VOLATILE_WC, CHANGEABLE],
  [nvme.NVME_FEAT_NUM_QUEUES, CHANGEABLE],
  [nvme.NVME_FEAT_IRQ_COALESCE, 0],
  [nvme.NVME_FEAT_IRQ_CONFIG, 0],
  [nvme.NVME_FEAT_WRITE_ATOMIC, 0],
  [nvme.NVME_FEAT_ASYNC_EVENT, CHANGEABLE],
  [nvme.NVME_FEAT_TIMESTAMP, CHANGEABLE],
  [nvme.NVME_FEAT_HOST_BEHAVIOR, CHANGEABLE],
  [nvme.NVME_FEAT_COMMAND_SET_PROFILE, CHANGEABLE],
]);

/** What a feature of this controller can do; undefined: it does not exist. */
export function capabilitiesOf(description: ResolvedController, fid: number): number | undefined {
  const { interruptCoalescing, powerStates, apst, hmb } = description;
  if (fid === nvme.NVME_FEAT_HOST_MEM_BUF) return hmb === null ? undefined : CHANGEABLE;
  if (fid === nvme.NVME_FEAT_AUTO_PST) return apst ? CHANGEABLE : undefined;
  if (fid === nvme.NVME_FEAT_POWER_MGMT && powerStates.length > 1) return CHANGEABLE;
  const coalesces = fid === nvme.NVME_FEAT_IRQ_COALESCE || fid === nvme.NVME_FEAT_IRQ_CONFIG;
  if (coalesces && interruptCoalescing) return CHANGEABLE;
  return FEATURE_CAPABILITIES.get(fid);
}

/** No limit on the arbitration burst. */
const ARBITRATION_NO_LIMIT = 7;

/** Current values; a controller reset restores the defaults. */
export class FeatureState {
  readonly #description: ResolvedController;
  readonly #allotment: Allotment;
  temperatureOver: number;
  temperatureUnder: number;
  writeCache: boolean;
  asyncEvents: number;
  /** Milliseconds the host set, and the virtual time when it did. */
  timestampMs: number;
  timestampSetAtNs: number;
  timestampOrigin: number;
  readonly hostBehavior: Uint8Array;

  constructor(description: ResolvedController, allotment: Allotment) {
    this.#description = description;
    this.#allotment = allotment;
    this.temperatureOver = TEMPERATURE_WARNING;
    this.temperatureUnder = 0;
    this.writeCache = description.volatileWriteCache;
    this.asyncEvents = 0;
    this.timestampMs = 0;
    this.timestampSetAtNs = 0;
    this.timestampOrigin = 0;
    this.hostBehavior = new Uint8Array(512);
  }

  /** Restores what a controller reset restores; the timestamp runs on from zero at nowNs. */
  reset(nowNs: number): void {
    this.temperatureOver = TEMPERATURE_WARNING;
    this.temperatureUnder = 0;
    this.writeCache = this.#description.volatileWriteCache;
    this.asyncEvents = 0;
    this.timestampMs = 0;
    this.timestampSetAtNs = nowNs;
    this.timestampOrigin = 0;
    this.hostBehavior.fill(0);
  }

  /** Number of Queues as granted: all of them, whatever was asked for. */
  get numberOfQueues(): number {
    const count = this.#allotment.ioQueuePairs - 1;
    return (nvme.NumberOfQueues.NCQ.put(count) | nvme.NumberOfQueues.NSQ.put(count)) >>> 0;
  }

  /** Value of a feature without data by dword 11; select 0 is current, anything else the default. */
  value(fid: number, cdw11: number, isCurrent: boolean): number {
    switch (fid) {
      case nvme.NVME_FEAT_ARBITRATION:
        return ARBITRATION_NO_LIMIT;
      case nvme.NVME_FEAT_TEMP_THRESH:
        return this.#temperatureThreshold(cdw11, isCurrent);
      case nvme.NVME_FEAT_VOLATILE_WC:
        return isCurrent && this.writeCache ? 1 : 0;
      case nvme.NVME_FEAT_NUM_QUEUES:
        return this.numberOfQueues;
      case nvme.NVME_FEAT_IRQ_CONFIG: {
        const vector = nvme.InterruptVectorConfiguration.IV.get(cdw11);
        return vector | (vector === 0 ? nvme.InterruptVectorConfiguration.CD.mask : 0);
      }
      case nvme.NVME_FEAT_ASYNC_EVENT:
        return isCurrent ? this.asyncEvents : 0;
      default:
        return 0;
    }
  }

  /** Milliseconds of the running timestamp, 48 bits. */
  timestampNow(nowNs: number): number {
    const ms = this.timestampMs + Math.floor((nowNs - this.timestampSetAtNs) / 1e6);
    return ms % 0x1000000000000;
  }

  #temperatureThreshold(cdw11: number, isCurrent: boolean): number {
    if (nvme.TemperatureThreshold.TMPSEL.get(cdw11) !== 0) return 0;
    const isUnder = nvme.TemperatureThreshold.THSEL.get(cdw11) === 1;
    if (!isCurrent) return isUnder ? 0 : TEMPERATURE_WARNING;
    return isUnder ? this.temperatureUnder : this.temperatureOver;
  }
}
