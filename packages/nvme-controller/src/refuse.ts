// How a description is refused: one sentence that names field, value and what is allowed.
// Kernel counterpart: none.

/** Throws the RangeError of a value that is not allowed. */
export function refuse(field: string, value: unknown, allowed: string): never {
  throw new RangeError(`${field} ${JSON.stringify(value)} is not allowed: it must be ${allowed}`);
}

/** Refuses what is not a whole number from `low` to `high`. */
export function checkNumber(field: string, value: number, low: number, high: number): void {
  if (typeof value === 'number' && value % 1 === 0 && value >= low && value <= high) return;
  refuse(field, value, `a whole number from ${low} to ${high}`);
}
