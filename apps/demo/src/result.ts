/** What came of a run, in a line or two. */
import { count } from './layout.js';
import type { Run } from './run.js';
import { shaLine } from './screens/image.js';

/** The lines of `--quiet`: the image's hash as sha256sum prints it, if there is one, and the result. */
export function resultLines(run: Run): string[] {
  const { loaded, transfers, load, image, unloaded, options } = run;
  const parts = [
    loaded.controllers.map(({ name, state }) => `${name} ${state}`).join(', ') || 'no controller',
    ...transfers.slice(-1).map(({ verified, lengthBytes }) => {
      if (verified === null) return `${lengthBytes} bytes read`;
      return verified ? `${lengthBytes} bytes verified` : 'BYTES DIFFER';
    }),
    ...(load === null
      ? []
      : [`${operations((load.reads?.operations ?? 0) + (load.writes?.operations ?? 0))}, ${count(load.wrong)} wrong`]),
    ...(image === null ? [] : [image.sha256 === image.fileSha256 ? 'image equal to its file' : 'IMAGE DIFFERS']),
    unloaded.leaks.length === 0 ? 'nothing left behind' : `${unloaded.leaks.length} kinds of things LEFT BEHIND`,
  ];
  return [...(image === null ? [] : [shaLine(image, options.disk ?? '')]), `${parts.join('; ')}.`];
}

function operations(n: number): string {
  return n === 1 ? '1 operation' : `${count(n)} operations`;
}
