/**
 * The order in which locks are taken. A lock taken while another is held makes an edge from the held one's name to its
 * own; an edge that closes a circle could deadlock, and is a BUG before it ever does. Kept per context, because an
 * interrupt takes its locks whatever the code it interrupted holds.
 * Kernel counterpart: kernel/locking/lockdep.c.
 */
import type { Executor, LockChecker } from '../ports.js';
/** Makes an empty memory of lock orders for one machine. */
export declare function createLockChecker(ex: Executor): LockChecker;
//# sourceMappingURL=lock-checker.d.ts.map