/** The kernel's log, line for line. */
import { clip, type View, wrap } from '../layout.js';

const STAMP = /^(\[ *[\d.]+\])( .*)$/;
/** Lines that are not about the driver are left out beyond this many. */
const MOST_LINES = 60;

/** Log lines as `dmesg` prints them; the driver's stand out. */
export function logLines(dmesg: readonly string[], { paint, width, wraps }: View): string[] {
  return dmesg.flatMap((line) => {
    const [, stamp = '', rest = line] = STAMP.exec(line) ?? [];
    const isDriver = / nvme| nvme\d/.test(rest);
    const parts = wraps ? wrap(line, width, ' '.repeat(stamp.length + 3)) : [line];
    return parts.map((part, i) => {
      const text = i === 0 ? part.slice(stamp.length) : part;
      return (i === 0 ? paint.quiet(stamp) : '') + (isDriver ? paint.mark(text) : text);
    });
  });
}

/** The log from power-on to a live disk. */
export function dmesgScreen(dmesg: readonly string[], view: View): string[] {
  const lines = logLines(dmesg, view);
  if (lines.length <= MOST_LINES) return lines;
  const left = lines.length - MOST_LINES;
  return [
    ...lines.slice(0, MOST_LINES / 2),
    view.paint.quiet(clip(`  … ${left} lines more …`, view.width)),
    ...lines.slice(-MOST_LINES / 2),
  ];
}
