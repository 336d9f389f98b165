// SMART counters, temperature, error log entries and asynchronous events that wait.
// Kernel counterpart: the other end of drivers/nvme/host/hwmon.c. Spec: [NVMe] 2.0 §5.16.1.2-3, §5.2.
import type { ControllerCounters } from './ports.js';

/** Error log entries kept; ELPE is 0-based. */
export const ERROR_LOG_ENTRIES = 1;

/** One entry of the error information log. */
export interface ErrorEntry {
  readonly errorCount: number;
  readonly sqid: number;
  readonly cmdid: number;
  readonly statusField: number;
  /** First block, as two dwords: a hostile host names blocks beyond what a number holds. */
  readonly lbaLow: number;
  readonly lbaHigh: number;
  readonly nsid: number;
}

/** An asynchronous event that waits for a request. */
export interface AsyncEvent {
  readonly type: number;
  readonly info: number;
  readonly logPage: number;
}

/** Health of the controller. Counters are since power-on and survive resets. */
export class HealthState implements ControllerCounters {
  hostReadCommands = 0;
  hostWriteCommands = 0;
  bytesRead = 0;
  bytesWritten = 0;
  errorLogEntries = 0;
  mediaErrors = 0;
  criticalWarning = 0;
  temperatureKelvin = 323;
  unsafeShutdowns = 0;
  /** Newest first. */
  readonly errors: ErrorEntry[] = [];
  /** Namespaces that changed since the log was read; more than 1024 are one all-ones entry. */
  readonly changedNamespaces = new Set<number>();
  /** Events in order. */
  readonly waitingEvents: AsyncEvent[] = [];
  /** Bit per event type: reported, and masked until its log page is read. */
  maskedTypes = 0;

  /** Records a failed command; the oldest entry falls off. */
  recordError(entry: Omit<ErrorEntry, 'errorCount'>): void {
    this.errorLogEntries++;
    this.errors.unshift({ ...entry, errorCount: this.errorLogEntries });
    if (this.errors.length > ERROR_LOG_ENTRIES) this.errors.pop();
  }
}
