/**
 * Seeded random streams by name (sfc32). A stream's numbers depend on seed and name alone, so that drawing from one
 * never shifts another.
 */
import type { RandomStreams } from './ports.js';
/** Makes the streams of a seed: a whole number below 2^53; throws RangeError for any other. */
export declare function createRandomStreams(seed: number): RandomStreams;
//# sourceMappingURL=random.d.ts.map