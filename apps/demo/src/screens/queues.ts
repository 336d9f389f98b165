/** The controller's queues and their interrupts, after the I/O. */
import type { Paint } from '../paint.js';
import type { Demo } from '../run.js';

export function queuesScreen({ queues, interrupts }: Demo, paint: Paint): string[] {
  return [
    paint.title('# queues of nvme0'),
    paint.quiet('  queue    depth  vector  sq tail  cq head  phase  interrupts  CPUs'),
    ...queues.map(({ qid, depth, vector, polled, sqTail, cqHead, cqPhase, cpus }) => {
      const name = `nvme0q${qid}`;
      const count = interrupts.find((interrupt) => interrupt.name === name)?.counts.reduce((sum, n) => sum + n, 0);
      const columns = [
        name.padEnd(8),
        String(depth).padStart(5),
        (polled ? 'polled' : String(vector)).padStart(6),
        String(sqTail).padStart(7),
        String(cqHead).padStart(7),
        String(cqPhase).padStart(5),
        (count === undefined ? '-' : String(count)).padStart(10),
        cpuList(cpus),
      ];
      return `  ${columns.join('  ')}`;
    }),
  ];
}

/** CPUs as Linux lists them: `0-3,7`. */
function cpuList(cpus: readonly number[]): string {
  const runs: string[] = [];
  for (let i = 0; i < cpus.length; i++) {
    const first = cpus[i];
    while (i + 1 < cpus.length && cpus[i + 1] === (cpus[i] as number) + 1) i++;
    runs.push(first === cpus[i] ? String(first) : `${first}-${cpus[i]}`);
  }
  return runs.join(',');
}
