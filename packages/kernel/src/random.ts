/**
 * Seeded random streams by name (sfc32). A stream's numbers depend on seed and name alone, so that drawing from one
 * never shifts another.
 */
import type { RandomStreams } from './ports.js';
import { textHash } from './trace/rolling-hash.js';

const TWO_32 = 4294967296;
/** Rounds after which every seed bit has reached every state bit. */
const WARM_UP_ROUNDS = 20;

class Stream {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  constructor(seed: number, name: string) {
    this.a = seed | 0;
    this.b = Math.floor(seed / TWO_32) | 0;
    this.c = textHash(name);
    for (let i = 0; i < WARM_UP_ROUNDS; i++) this.next();
  }

  next(): number {
    const sum = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }
}

class RandomStreamsImpl implements RandomStreams {
  private readonly seed: number;
  private readonly streams = new Map<string, Stream>();

  constructor(seed: number) {
    this.seed = seed;
  }

  next(stream: string): number {
    let found = this.streams.get(stream);
    if (found === undefined) {
      found = new Stream(this.seed, stream);
      this.streams.set(stream, found);
    }
    return found.next();
  }
}

/** Makes the streams of a seed: a whole number below 2^53; throws RangeError for any other. */
export function createRandomStreams(seed: number): RandomStreams {
  if (!(seed >= 0 && seed < 9007199254740992) || seed % 1 !== 0) {
    throw new RangeError(`seed is ${seed}; allowed: a whole number from 0 to 2^53 - 1`);
  }
  return new RandomStreamsImpl(seed);
}
