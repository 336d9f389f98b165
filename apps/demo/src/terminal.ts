/** What the demo asks of the streams it writes to. */

/** A stream as far as it matters here. */
interface Writable {
  on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
}

/** Ends quietly when whoever reads has seen enough (`demo | head`); any other error of the stream is thrown. */
export function endOnBrokenPipe(stream: Writable, end: () => void): void {
  stream.on('error', (error) => {
    if (error.code !== 'EPIPE') throw error;
    end();
  });
}

/** Colours only on a terminal that has them, and not where NO_COLOR is set to anything. */
export function wantsColour(isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): boolean {
  return isTerminal && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
}
