/** The run as one JSON document. The same command gives the same document: nothing in it is of the host's time. */
import type { Run } from './run.js';

/** Version of the document's shape. */
const SCHEMA_VERSION = 1;

/** The document. */
export function toDocument(run: Run): Record<string, unknown> {
  const { machine, loaded, unloaded, transfers, load, volumes, image } = run;
  const { profile, seed, interleave, cpus } = machine.description;
  return {
    schemaVersion: SCHEMA_VERSION,
    profile,
    seed,
    interleave,
    cpus,
    dmesg: machine.dmesg(),
    trace: machine.trace.entries,
    queues: unloaded.controllers.flatMap(({ name, queues }) => queues.map((queue) => ({ controller: name, ...queue }))),
    interrupts: unloaded.interrupts,
    controllers: loaded.controllers.map(({ name, address, state }) => ({ name, address, state })),
    disks: loaded.disks,
    io: transfers.map(({ entries, ...transfer }) => ({ ...transfer, traceSeq: entries[0]?.seq ?? null })),
    load,
    image: image === null ? null : { ...image, volumes },
    leaks: unloaded.leaks,
    traceHash: machine.trace.hash(),
  };
}

/** One line of JSON. */
export function toJson(document: unknown): string {
  return `${JSON.stringify(document)}\n`;
}
