/** The controllers' queues, their vectors and CPUs, and `/proc/interrupts`. */
import { clip, cpuList, first, table, type View } from '../layout.js';
import type { Loaded } from '../session.js';

const MOST_QUEUES = 20;

export function queuesScreen({ controllers, interrupts, interruptsText }: Loaded, view: View): string[] {
  const { paint, width } = view;
  const rows = controllers.flatMap(({ name, queues }) =>
    queues.map(({ qid, depth, vector, polled, cqPhase, cpus }) => {
      const queue = `${name}q${qid}`;
      const irq = interrupts.find((one) => one.name.split(', ').includes(queue));
      return [
        queue,
        String(depth),
        polled ? 'polled' : String(vector),
        irq === undefined ? '-' : String(irq.irq),
        cpuList(cpus),
        String(cqPhase),
        qid === 0 ? 'admin commands' : 'reads and writes of these CPUs',
      ];
    }),
  );
  const head = ['queue', 'depth', 'vector', 'IRQ', 'CPUs', 'phase', 'carries'];
  return [
    ...first(table(view, head, rows), MOST_QUEUES, 'queues', paint),
    '',
    paint.title('/proc/interrupts'),
    ...interruptsLines(interruptsText, view).map((line) => (/nvme/.test(line) ? line : paint.quiet(clip(line, width)))),
  ];
}

/** The file as it is; where it is wider than the screen, the CPUs in its middle are left out of every line. */
export function interruptsLines(text: string, { width, paint }: View): string[] {
  const lines = text.trimEnd().split('\n');
  const widest = Math.max(...lines.map((line) => line.trimEnd().length));
  const cpus = lines[0]?.match(/CPU\d+/g)?.length ?? 0;
  if (widest <= width || cpus < 2) return first(lines, MOST_QUEUES, 'lines', paint);
  const labelled = /^( *\w+:?)/.exec(lines[1] ?? '')?.[1]?.length ?? 4;
  const hidden = Math.min(Math.ceil((widest + 3 - width) / 11), cpus - 1);
  const from = labelled + (cpus - hidden) * 11;
  const to = labelled + cpus * 11;
  const shown = lines.map((line, i) =>
    clip(`${line.slice(0, from)} … ${i === 0 ? '' : line.slice(to)}`, width).trimEnd(),
  );
  return [...first(shown, MOST_QUEUES, 'lines', paint), paint.quiet(`  … ${hidden} of ${cpus} CPUs are not shown`)];
}
