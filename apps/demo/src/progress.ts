/** One line of progress on a terminal, drawn over itself and gone when the work is done. */

const BAR = 24;
const REDRAW_MS = 40;
const ERASE = '\r\u001b[K';

/** What progress needs of its host. */
export interface ProgressHost {
  /** Writes to the terminal; null: there is none. */
  readonly terminal: ((text: string) => void) | null;
  nowMs(): number;
  readonly width: number;
}

/** Called with what is done so far, of `total`. */
export type OnProgress = (done: number, total: number) => void;

/** Runs `work` while a line shows how far it is. */
export async function withProgress<T>(
  host: ProgressHost,
  label: string,
  work: (onProgress: OnProgress) => Promise<T>,
): Promise<T> {
  const { terminal } = host;
  if (terminal === null) return work(() => {});
  let drawnMs = Number.NEGATIVE_INFINITY;
  try {
    return await work((done, total) => {
      const nowMs = host.nowMs();
      if (nowMs - drawnMs < REDRAW_MS) return;
      drawnMs = nowMs;
      const share = total === 0 ? 1 : done / total;
      const filled = Math.round(share * BAR);
      const bar = '█'.repeat(filled) + '░'.repeat(BAR - filled);
      const line = `${label}  ${bar} ${String(Math.floor(share * 100)).padStart(3)} %`;
      terminal(ERASE + line.slice(0, host.width - 1));
    });
  } finally {
    terminal(ERASE);
  }
}
