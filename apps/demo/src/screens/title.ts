/** What is run. */
import type { Paint } from '../paint.js';
import type { Demo } from '../run.js';

export function titleScreen({ description, seeded }: Demo, paint: Paint): string[] {
  const { profile, cpus, memoryMiB, seed } = description;
  const order = seeded ? `seed ${seed} chooses among what is ready` : 'first in, first out';
  return [
    paint.title(
      `nvme-stack: Linux's NVMe path, profile ${profile}, ${cpus} CPU${cpus > 1 ? 's' : ''}, ${memoryMiB} MiB`,
    ),
    paint.quiet(`Times are virtual; ${order}. The same command prints the same every time.`),
  ];
}
