/** What a contract suite needs of a test runner; vitest's functions fit, and so do others'. */

/** The matchers contract suites use. */
export interface ContractMatchers {
  toBe(expected: unknown): void;
  toEqual(expected: unknown): void;
  toThrow(): void;
  toBeGreaterThan(expected: number): void;
}

/** The test runner's functions. */
export interface ContractRunner {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => void | Promise<void>): unknown;
  beforeEach(body: () => void): unknown;
  expect(actual: unknown): ContractMatchers & { readonly not: ContractMatchers };
}
