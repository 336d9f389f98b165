/** The command `pnpm differential`: text out, exit code returned. */
import { ourCorner, qemuCorner } from './corners.js';
import { type Difference, lockstep, type Report } from './lockstep.js';

const hex = (bytes: Uint8Array): string =>
  [...new Uint32Array(bytes.buffer, bytes.byteOffset, 16)].map((word) => word.toString(16).padStart(8, '0')).join(' ');

/** One difference as text. */
export function differenceText({ index, step, ours, theirs }: Difference): string {
  const changed = step.changed.length === 0 ? '' : `, changed: ${step.changed.join(', ')}`;
  const pointers = step.pointers.map(([at, { target, isAbsolute }]) => `${at}:${isAbsolute ? '' : '+'}${target.toString(16)}`);
  return [
    `command ${index}: ${step.name} on queue ${step.queue}${changed}`,
    `  ${hex(step.sqe)}  (pointers ${pointers.join(' ')})`,
    `  ours: ${ours}`,
    `  QEMU: ${theirs}`,
  ].join('\n');
}

/** The report as text. */
export function reportText(report: Report): string {
  const sent = [...report.sent].map(([name, counts]) => `  ${name}: ${counts.sent} sent, ${counts.succeeded} succeeded`);
  const known = [...report.known].map(([id, count]) => `  ${id}: ${count}`);
  return [
    `${report.commands} commands in ${report.epochs} epochs, ${report.unexplained.length} unexplained differences`,
    ...sent,
    ...(known.length === 0 ? [] : ['known differences:', ...known]),
    ...report.unexplained.map(differenceText),
    '',
  ].join('\n');
}

/** Runs both corners and compares them. */
export async function differential(commands: number, seed: number, onProgress?: (commands: number) => void, limit = 20): Promise<Report> {
  const theirs = await qemuCorner();
  try {
    const ours = await ourCorner();
    return await lockstep(ours, theirs, { commands, seed, limit, ...(onProgress === undefined ? {} : { onProgress }) });
  } finally {
    await theirs.close();
  }
}
