/** Waiting for a key between screens. */

/** Standard input as far as it matters here. */
export interface KeySource {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
  on(event: 'data' | 'end', listener: (data: Uint8Array | string) => void): unknown;
  resume(): unknown;
  pause(): unknown;
}

/** What a key means. */
export type Answer = 'next' | 'quit';

const ESCAPE = '\u001b';
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';

/** Keys of a terminal one by one; where input is no terminal, each line stands for a key, and its end for all later ones. */
export class Keys {
  private readonly source: KeySource;
  private readonly pending: string[] = [];
  private ended = false;
  private listening = false;
  private wake: (() => void) | null = null;

  constructor(source: KeySource) {
    this.source = source;
  }

  /** Waits for the next key; `q`, Ctrl-C and Ctrl-D mean to end. */
  async next(): Promise<Answer> {
    const raw = this.source.isTTY === true && this.source.setRawMode !== undefined;
    this.listen();
    if (raw) this.source.setRawMode?.(true);
    this.source.resume();
    while (this.pending.length === 0 && !this.ended) {
      await new Promise<void>((done) => {
        this.wake = done;
      });
    }
    if (raw) this.source.setRawMode?.(false);
    this.source.pause();
    return ['q', 'Q', CTRL_C, CTRL_D].includes(this.pending.shift()?.[0] ?? '') ? 'quit' : 'next';
  }

  private listen(): void {
    if (this.listening) return;
    this.listening = true;
    this.source.on('data', (data) => {
      const text = typeof data === 'string' ? data : new TextDecoder().decode(data);
      // What begins with an escape is one key, as an arrow is; other characters are keys of their own.
      if (this.source.isTTY === true) this.pending.push(...(text.startsWith(ESCAPE) ? [text] : text));
      else this.pending.push(...text.replace(/\n$/, '').split('\n'));
      this.wake?.();
    });
    this.source.on('end', () => {
      this.ended = true;
      this.wake?.();
    });
  }
}
