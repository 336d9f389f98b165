/** The trace of a run in the formats that tools read. */
import { functionGraphText, type TraceEntry } from '@nvme-stack/machine';
import type { TraceFormat } from '../options.js';
import { chromeTrace } from './chrome.js';
import { eventsText } from './events.js';

/** A machine's trace as text of the format. */
export function traceText(
  format: TraceFormat,
  entries: readonly TraceEntry[],
  machine: { readonly cpus: number; readonly profile: string },
): string {
  switch (format) {
    case 'graph':
      return functionGraphText(entries, { nrCpus: machine.cpus });
    case 'events':
      return eventsText(entries, machine.cpus);
    case 'chrome':
      return chromeTrace(entries, machine.profile);
  }
}
