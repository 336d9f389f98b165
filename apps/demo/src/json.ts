/** The run as one JSON document. */
import type { Demo } from './run.js';

/** Version of the document's shape. */
const SCHEMA_VERSION = 1;

export function toJson(demo: Demo): string {
  const { description, dmesg, trace, queues, interrupts, io, leaks, traceHash } = demo;
  return `${JSON.stringify({
    schemaVersion: SCHEMA_VERSION,
    profile: description.profile,
    seed: description.seed,
    interleave: description.interleave,
    cpus: description.cpus,
    dmesg,
    trace,
    queues,
    interrupts,
    io: io.map(({ entries, ...transfer }) => ({ ...transfer, traceSeq: entries[0]?.seq ?? null })),
    leaks,
    traceHash,
  })}\n`;
}
