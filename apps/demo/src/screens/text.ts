/** Calls as lines: when, where, who, and what it does here. */
import type { CallLine } from '../call-tree.js';
import { clip, us, type View } from '../layout.js';
import type { Remarks } from '../milestones.js';

/** Columns before the tree: time in microseconds and CPU. */
const PREFIX = 17;
/** Where remarks begin, if the call ends before it: on a wide screen and on a narrow one. */
const REMARKS_AT = 68;
const NARROW_REMARKS_AT = 52;
const WIDE = 100;

/** The head of the columns of `callText`. */
export function callHead({ paint }: View): string {
  return paint.quiet(`  ${'time us'.padStart(8)}  CPU  calls`);
}

/** A cut tree, its task above it, a branch for each level. */
export function callText(
  lines: readonly CallLine[],
  { paint, width }: View,
  remarks: Remarks,
  marked: ReadonlySet<string>,
): string[] {
  const task = lines[0] === undefined ? '' : `${lines[0].entry.task}-${lines[0].entry.pid}`;
  const calls = lines.map(({ entry, times, rails, isLast, depth }) => {
    const time = `  ${us(entry.startNs).padStart(8)}  ${String(entry.cpu).padStart(3)}  `;
    const branch =
      depth === 0
        ? ''
        : rails
            .slice(1)
            .map((goesOn) => (goesOn ? '│ ' : '  '))
            .join('') + (isLast ? '└ ' : '├ ');
    const call = `${entry.symbol}()${times > 1 ? ` x${times}` : ''}`;
    const used = PREFIX + branch.length + call.length;
    const remark = remarks[entry.symbol] ?? '';
    const gap = ' '.repeat(Math.max((width < WIDE ? NARROW_REMARKS_AT : REMARKS_AT) - used, 2));
    const note = remark === '' || used + gap.length + remark.length > width ? '' : paint.quiet(`${gap}${remark}`);
    const name = clip(call, width - PREFIX - branch.length);
    return paint.quiet(time + branch) + (marked.has(entry.symbol) ? paint.mark(name) : name) + note;
  });
  return [paint.quiet(`${' '.repeat(PREFIX)}`) + paint.task(task), ...calls];
}
