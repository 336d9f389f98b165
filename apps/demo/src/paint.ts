/** The demo's few colours, by what they mean. */
import picocolors from 'picocolors';

type Painter = (text: string) => string;

/** How each kind of text is shown. */
export interface Paint {
  readonly title: Painter;
  readonly quiet: Painter;
  readonly mark: Painter;
  readonly task: Painter;
  readonly device: Painter;
  readonly good: Painter;
  readonly bad: Painter;
}

export function createPaint(colour: boolean): Paint {
  const { bold, dim, yellow, cyan, magenta, green, red } = picocolors.createColors(colour);
  return { title: bold, quiet: dim, mark: yellow, task: cyan, device: magenta, good: green, bad: red };
}
