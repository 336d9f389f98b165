/** Two kernels side by side. */
import type { Pair, Point, Side, TreeLine } from '../compare.js';
import { clip, heading, type View } from '../layout.js';

/** Between the columns: both have it, both have it in different tasks, only one has it. */
const MARKS = { same: '   ', moved: ' ~ ', left: ' < ', right: ' > ' } as const;

export function compareScreen(
  left: Side,
  right: Side,
  points: readonly Point[],
  pairs: readonly Pair[],
  view: View,
): string[] {
  const { paint } = view;
  return [
    heading(view, `${left.profile} | ${right.profile}`, 'From insmod to a live disk in two kernels'),
    ...trees(left, right, pairs, view),
    '',
    paint.quiet('<  only on the left    >  only on the right    ~  in another task'),
    '',
    heading(view, `${left.profile} | ${right.profile}`, 'What differs'),
    ...pointLines(left, right, points, view),
  ];
}

function trees(left: Side, right: Side, pairs: readonly Pair[], { paint, width }: View): string[] {
  const half = Math.floor((width - 3) / 2);
  const deepest = Math.max(...[...left.lines, ...right.lines].map(({ depth }) => depth));
  const indent = half >= deepest * 2 + 24 ? 2 : 1;
  const cell = (line: TreeLine | null): string => {
    if (line === null) return '';
    const name = line.isTask ? `${line.symbol}:` : `${line.symbol}()`;
    return clip(' '.repeat(Math.max(line.depth - 1, 0) * indent + (line.isTask ? 0 : indent)) + name, half);
  };
  const head = paint.title(`${`Linux ${left.profile}`.padEnd(half)}   Linux ${right.profile}`);
  const lines = pairs.map((pair) => {
    const mark = markOf(pair);
    const [one, other] = [cell(pair.left).padEnd(half), cell(pair.right)];
    if (mark === 'same') return pair.left?.isTask === true ? paint.task(`${one}   ${other}`) : `${one}   ${other}`;
    return `${paint.mark(one)}${paint.mark(MARKS[mark])}${paint.mark(other)}`;
  });
  return [head, ...lines].map((line) => line.trimEnd());
}

function markOf({ left, right }: Pair): keyof typeof MARKS {
  if (left === null) return 'right';
  if (right === null) return 'left';
  return left.task === right.task ? 'same' : 'moved';
}

function pointLines(left: Side, right: Side, points: readonly Point[], { paint, width }: View): string[] {
  if (points.length === 0) return ['Nothing: the two runs agree in every point that is looked at.'];
  const name = Math.max(...points.map((point) => point.name.length)) + 2;
  const half = Math.floor((width - name - 2) / 2);
  const line = (point: string, one: string, other: string): string =>
    `${point.padEnd(name)}${clip(one, half).padEnd(half)}  ${clip(other, half)}`;
  return [
    paint.title(line('', `Linux ${left.profile}`, `Linux ${right.profile}`)),
    ...points.map((point) => line(point.name, ...point.values)),
  ];
}
