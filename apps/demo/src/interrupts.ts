/** `/proc/interrupts` as data. */

/** A device's interrupt. */
export interface Interrupt {
  readonly irq: number;
  /** How often each CPU took it. */
  readonly counts: readonly number[];
  readonly chip: string;
  readonly name: string;
}

/** The numbered lines of the file. */
export function parseInterrupts(text: string): Interrupt[] {
  const lines = text.split('\n');
  const cpus = lines[0]?.match(/CPU\d+/g)?.length ?? 0;
  return lines.slice(1).flatMap((line) => {
    const [irq, ...columns] = line.trim().split(/\s+/);
    if (irq === undefined || !/^\d+:$/.test(irq)) return [];
    return {
      irq: Number.parseInt(irq, 10),
      counts: columns.slice(0, cpus).map(Number),
      chip: columns.slice(cpus, -1).join(' '),
      name: columns.at(-1) ?? '',
    };
  });
}
