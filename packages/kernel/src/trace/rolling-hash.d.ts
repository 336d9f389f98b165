/** A rolling 64-bit hash of numbers, kept as two 32-bit halves so that no BigInt is needed. */
export declare class RollingHash {
    private a;
    private b;
    /** Adds a 32-bit word. */
    add(word: number): void;
    /** Adds a number of up to 53 bits. */
    addNumber(value: number): void;
    /** 16 hexadecimal digits. */
    digest(): string;
}
/** A 32-bit hash of a text (FNV-1a over UTF-16 units). */
export declare function textHash(text: string): number;
//# sourceMappingURL=rolling-hash.d.ts.map