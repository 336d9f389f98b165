/**
 * Counts what is alive by kind and name, so that `rmmod` can say what was left behind.
 * Kernel counterpart: none; stands where lib/debugobjects.c and the "busy" checks of each subsystem stand.
 */
import type { LeakKind, LiveObjects } from './ports.js';
/** The count of one kind and name, held by a hot path so that it needs no look-up. */
export interface LiveCounter {
    add(count: number): void;
    remove(count: number): void;
}
/** Makes an empty count. Removing more than is live throws: it is a defect of the caller. */
export declare function createLiveObjects(): LiveObjects;
/** The counter of one kind and name in `live`, to be fetched once and kept. */
export declare function liveCounter(live: LiveObjects, kind: LeakKind, name: string): LiveCounter;
//# sourceMappingURL=live-objects.d.ts.map