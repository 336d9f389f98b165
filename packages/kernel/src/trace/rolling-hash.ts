/** A rolling 64-bit hash of numbers, kept as two 32-bit halves so that no BigInt is needed. */

const PRIME_A = 0x9e3779b1;
const PRIME_B = 0x85ebca6b;
const TWO_32 = 4294967296;

export class RollingHash {
  private a = 0x811c9dc5;
  private b = 0x1b873593;

  /** Adds a 32-bit word. */
  add(word: number): void {
    const a = Math.imul(this.a ^ word, PRIME_A);
    this.a = a ^ (a >>> 15);
    const b = Math.imul(this.b + word, PRIME_B);
    this.b = (b ^ (b >>> 13)) + (this.a | 0);
    this.b |= 0;
  }

  /** Adds a number of up to 53 bits. */
  addNumber(value: number): void {
    this.add(value | 0);
    if (value > 0x7fffffff || value < -0x80000000) this.add(Math.floor(value / TWO_32) | 0);
  }

  /** 16 hexadecimal digits. */
  digest(): string {
    return hex32(this.a) + hex32(this.b);
  }
}

function hex32(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}

/** A 32-bit hash of a text (FNV-1a over UTF-16 units). */
export function textHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}
