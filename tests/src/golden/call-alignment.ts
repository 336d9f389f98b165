/**
 * Aligns a captured call tree with one of ours: the most calls that stand in the same order below the same callers.
 * Calls of ours that the capture lacks are left over.
 */
import type { CallLine } from './threads.js';

/** Scores and aligns trees; it remembers the scores of all pairs it has seen. */
export class CallAlignment {
  private readonly scores = new Map<CallLine, Map<CallLine, number>>();

  /** How many calls of the captured tree have a counterpart when the two roots are put together. */
  score(golden: CallLine, ours: CallLine): number {
    if (golden.symbol !== ours.symbol) return 0;
    let row = this.scores.get(golden);
    if (row === undefined) {
      row = new Map();
      this.scores.set(golden, row);
    }
    let score = row.get(ours);
    if (score === undefined) {
      score = 1 + this.table(golden.children, ours.children)[0][0];
      row.set(ours, score);
    }
    return score;
  }

  /** The best order-keeping pairs of two lists of calls. */
  pairs(golden: readonly CallLine[], ours: readonly CallLine[]): [golden: CallLine, ours: CallLine][] {
    const best = this.table(golden, ours);
    const pairs: [CallLine, CallLine][] = [];
    let i = 0;
    let j = 0;
    while (i < golden.length && j < ours.length) {
      const score = this.score(golden[i], ours[j]);
      if (score > 0 && best[i][j] === score + best[i + 1][j + 1]) pairs.push([golden[i++], ours[j++]]);
      else if (best[i][j] === best[i][j + 1]) j++;
      else i++;
    }
    return pairs;
  }

  /** best[i][j]: the score of the lists from i and from j on. */
  private table(golden: readonly CallLine[], ours: readonly CallLine[]): number[][] {
    const best = Array.from({ length: golden.length + 1 }, () => new Array<number>(ours.length + 1).fill(0));
    for (let i = golden.length - 1; i >= 0; i--) {
      for (let j = ours.length - 1; j >= 0; j--) {
        const score = this.score(golden[i], ours[j]);
        const together = score > 0 ? score + best[i + 1][j + 1] : 0;
        best[i][j] = Math.max(together, best[i + 1][j], best[i][j + 1]);
      }
    }
    return best;
  }
}
