/**
 * Lines over a pair of FIFOs, one out, one in; a call blocks this process until the other side has answered. What
 * arrives unasked may be read at any time by the event loop instead.
 */
import { readSync, writeSync } from 'node:fs';
import type { HangWatch } from './hang-watch.js';

const CHUNK_BYTES = 16384;
const LINE_BYTES = 1024;

/** The other side has ended, was ended because it did not answer, or speaks nonsense. */
export class QemuError extends Error {
  override readonly name = 'QemuError';
}

export class LineChannel {
  private readonly commands: number;
  private readonly replies: number;
  private readonly watch: HangWatch;
  private readonly chunk = Buffer.alloc(CHUNK_BYTES);
  private outBytes = Buffer.alloc(LINE_BYTES);
  private buffered = '';
  private at = 0;
  /** What standard error held when QEMU ended. */
  private readonly lastWords: () => string;

  /** File descriptors of the FIFO that the other side reads, and of the one it writes. */
  constructor(commands: number, replies: number, watch: HangWatch, lastWords: () => string) {
    this.commands = commands;
    this.replies = replies;
    this.watch = watch;
    this.lastWords = lastWords;
  }

  /** Writes a line. */
  send(line: string): void {
    if (line.length >= this.outBytes.length) this.outBytes = Buffer.alloc(2 * line.length + 2);
    const { outBytes } = this;
    let length = outBytes.write(line, 'latin1');
    outBytes[length++] = 0x0a;
    for (let sent = 0; sent < length; ) sent += writeSync(this.commands, outBytes, sent, length - sent);
  }

  /** Takes what the event loop has read. */
  feed(text: string): void {
    this.buffered = this.buffered.slice(this.at) + text;
    this.at = 0;
  }

  /** The next line that is here already; null when there is none. */
  bufferedLine(): string | null {
    const end = this.buffered.indexOf('\n', this.at);
    if (end < 0) return null;
    const line = this.buffered.slice(this.at, end);
    this.at = end + 1;
    return line;
  }

  /** The next line; blocks until there is one. Throws QemuError when there will be none. `asked` says what for. */
  line(asked: string): string {
    for (;;) {
      const line = this.bufferedLine();
      if (line !== null) return line;
      this.watch.begin();
      const count = readSync(this.replies, this.chunk);
      this.watch.end();
      if (count === 0) throw this.ended(asked);
      this.feed(this.chunk.toString('latin1', 0, count));
    }
  }

  private ended(asked: string): QemuError {
    const waited = this.watch.firedAfterMs;
    if (waited > 0)
      return new QemuError(`QEMU did not answer ${JSON.stringify(asked)} within ${waited} ms and was ended`);
    const words = this.lastWords();
    return new QemuError(
      `QEMU has ended before it answered ${JSON.stringify(asked)}${words === '' ? '' : `: ${words}`}`,
    );
  }
}
