/**
 * The order in which locks are taken. A lock taken while another is held makes an edge from the held one's name to its
 * own; an edge that closes a circle could deadlock, and is a BUG before it ever does. An interrupt that nests in code
 * that holds a lock makes edges from that lock too, because that code waits for it.
 * Kernel counterpart: kernel/locking/lockdep.c.
 */
import type { Executor, LockChecker } from '../ports.js';

/** Frames of this file and of the lock function, at the top of every recorded stack. */
const OWN_STACK_LINES = 4;
const STACK_LINES = 6;

/** `to` was taken while `from` was held. */
interface LockEdge {
  readonly from: string;
  readonly to: string;
  readonly task: string;
  readonly stack: string;
}

class LockOrder implements LockChecker {
  private readonly ex: Executor;
  private readonly edges = new Map<string, Map<string, LockEdge>>();

  constructor(ex: Executor) {
    this.ex = ex;
  }

  wants(name: string): void {
    for (const held of this.ex.current.heldLocks) {
      if (held !== name) this.addEdge(held, name);
    }
  }

  holds(name: string): void {
    this.ex.current.heldLocks.push(name);
  }

  released(name: string): void {
    const { heldLocks } = this.ex.current;
    const last = heldLocks.lastIndexOf(name);
    if (last >= 0) heldLocks.splice(last, 1);
  }

  private addEdge(from: string, to: string): void {
    let after = this.edges.get(from);
    if (after === undefined) {
      after = new Map();
      this.edges.set(from, after);
    }
    if (after.has(to)) return;
    const { name, pid } = this.ex.current;
    const edge = { from, to, task: `${name}-${pid}`, stack: callerStack() };
    const circle = this.path(to, from, new Set());
    if (circle !== null) this.report(edge, circle);
    after.set(to, edge);
  }

  /** The edges that lead from one lock to another; null when none do. */
  private path(from: string, to: string, seen: Set<string>): LockEdge[] | null {
    seen.add(from);
    for (const edge of this.edges.get(from)?.values() ?? []) {
      if (edge.to === to) return [edge];
      if (seen.has(edge.to)) continue;
      const rest = this.path(edge.to, to, seen);
      if (rest !== null) return [edge, ...rest];
    }
    return null;
  }

  private report(edge: LockEdge, circle: readonly LockEdge[]): never {
    const earlier = circle.map((old) => `${old.task} took ${old.to} while it held ${old.from}:\n${old.stack}`);
    this.ex.bug(
      `possible circular locking: ${edge.task} takes ${edge.to} while it holds ${edge.from}:\n${edge.stack}\nbut before, ${earlier.join('\nand ')}\n`,
    );
  }
}

function callerStack(): string {
  const lines = (new Error().stack ?? '').split('\n');
  return lines.slice(OWN_STACK_LINES, OWN_STACK_LINES + STACK_LINES).join('\n');
}

/** Makes an empty memory of lock orders for one machine. */
export function createLockChecker(ex: Executor): LockChecker {
  return new LockOrder(ex);
}
