/** The demo's few colours, by what they mean. */
import picocolors from 'picocolors';

type Painter = (text: string) => string;

/** How each kind of text is shown. */
export interface Paint {
  readonly title: Painter;
  readonly quiet: Painter;
  readonly mark: Painter;
  readonly good: Painter;
  readonly bad: Painter;
}

export function createPaint(colour: boolean): Paint {
  const { bold, dim, yellow, green, red } = picocolors.createColors(colour);
  return { title: bold, quiet: dim, mark: yellow, good: green, bad: red };
}
