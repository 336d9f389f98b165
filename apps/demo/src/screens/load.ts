/** The load phase in a table. */
import { count, duration, first, size, table, type View } from '../layout.js';
import type { Latencies, LoadPhase } from '../load-phase.js';

const MOST_QUEUES = 16;

/** `wallMs`: host time that the phase took. */
export function loadScreen(phase: LoadPhase | null, wallMs: number, view: View): string[] {
  const { paint, time } = view;
  if (phase === null) return [paint.quiet('No load: there is no disk, or no operations were asked for.')];
  const { disk, jobs, blockBytes, reads, writes, queues, virtualNs, checked, wrong } = phase;
  const total = (reads?.operations ?? 0) + (writes?.operations ?? 0);
  const rows = [row('read', reads, phase), row('write', writes, phase)].filter((one) => one !== null);
  const head = ['', 'operations', 'per second', 'mean', 'p50', 'p90', 'p99', 'p99.9', 'max'];
  const busiest = Math.max(...queues.map(({ operations }) => operations ?? 0), 1);
  const queueRows = queues.map(({ name, operations, interrupts }) => [
    name,
    operations ?? '-',
    interrupts ?? 'polled',
    operations === null || interrupts === null || interrupts === 0 ? '-' : (operations / interrupts).toFixed(2),
    '█'.repeat(Math.round(((operations ?? 0) / busiest) * 20)),
  ]);
  return [
    `${jobs} jobs, as many on each CPU; random ${size(blockBytes)} ${writes === null ? 'reads' : 'reads and writes'} on ${disk}.`,
    `Rates and latencies are of ${time} time; latencies in microseconds.`,
    '',
    ...table(view, head, rows),
    '',
    ...first(
      table(view, ['queue', 'operations', 'interrupts', 'per interrupt', ''], queueRows),
      MOST_QUEUES,
      'queues',
      paint,
    ),
    '',
    `${count(total)} operations in ${duration(virtualNs)} of ${time} time;`,
    `${duration(wallMs * 1e6)} of wall time, ${count(Math.round((total / Math.max(wallMs, 1)) * 1000))} operations a second.`,
    wrong === 0
      ? `${paint.good('Verified:')} ${count(checked)} reads of written blocks found the bytes written.`
      : paint.bad(`${count(wrong)} OF ${count(checked)} READS FOUND OTHER BYTES THAN WERE WRITTEN.`),
  ];
}

function row(kind: string, latencies: Latencies | null, { virtualNs }: LoadPhase): (string | number)[] | null {
  if (latencies === null) return null;
  const { operations, meanNs, p50Ns, p90Ns, p99Ns, p999Ns, maxNs } = latencies;
  const times = [meanNs, p50Ns, p90Ns, p99Ns, p999Ns, maxNs].map((ns) => (ns / 1000).toFixed(2));
  return [kind, operations, Math.round((operations / virtualNs) * 1e9), ...times];
}
