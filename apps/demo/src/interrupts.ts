/** `/proc/interrupts` as data. */

/** A device's interrupt. */
export interface Interrupt {
  readonly irq: number;
  /** How often each CPU took it. */
  readonly counts: readonly number[];
  readonly chip: string;
  /** Its handlers, as the file names them. */
  readonly name: string;
}

/** The numbered lines of the file. */
export function parseInterrupts(text: string): Interrupt[] {
  const lines = text.split('\n');
  const cpus = lines[0]?.match(/CPU\d+/g)?.length ?? 0;
  return lines.slice(1).flatMap((line) => {
    const [irq, ...columns] = line.trim().split(/\s+/);
    if (irq === undefined || !/^\d+:$/.test(irq)) return [];
    const rest = columns.slice(cpus);
    const flow = rest.findIndex((word) => /-(edge|level|fasteoi)$/.test(word));
    return {
      irq: Number.parseInt(irq, 10),
      counts: columns.slice(0, cpus).map(Number),
      chip: rest.slice(0, flow + 1).join(' '),
      name: rest.slice(flow + 1).join(' '),
    };
  });
}
