/**
 * `traced(id, fn)`: a control-path function that has a kernel counterpart announces its entry and exit. The id is the
 * kernel's symbol on profile 6.12; a profile's table may give it another symbol, or none. Nesting is kept per task
 * across `await`, because every task has its own stack of open entries.
 */
import type { HasKernel, Trace } from '../ports.js';

/**
 * Wraps a function whose first argument leads to its kernel. Use at most four positional arguments.
 * Entering is charged to the CPU whether or not anything is traced.
 */
export function traced<S extends HasKernel, A, B, C, R>(
  id: string,
  fn: (self: S, a: A, b: B, c: C) => R,
): (self: S, a: A, b: B, c: C) => R;
export function traced<S extends HasKernel, A, B, R>(
  id: string,
  fn: (self: S, a: A, b: B) => R,
): (self: S, a: A, b: B) => R;
export function traced<S extends HasKernel, A, R>(id: string, fn: (self: S, a: A) => R): (self: S, a: A) => R;
export function traced<S extends HasKernel, R>(id: string, fn: (self: S) => R): (self: S) => R;
export function traced<S extends HasKernel, A, B, C, R>(
  id: string,
  fn: (self: S, a: A, b: B, c: C) => R,
): (self: S, a: A, b: B, c: C) => R {
  return (self, a, b, c) => {
    const { ex, trace, costs } = self.kernel;
    ex.assertAwake(id);
    ex.charge(costs.functionNs);
    if (!trace.functions) return fn(self, a, b, c);
    trace.enter(id);
    let result: R;
    try {
      result = fn(self, a, b, c);
    } catch (error) {
      trace.exit();
      throw error;
    }
    if (isThenable(result)) return exitAfter(trace, result) as R;
    trace.exit();
    return result;
  };
}

async function exitAfter<T>(trace: Trace, promise: PromiseLike<T>): Promise<T> {
  try {
    return await promise;
  } finally {
    trace.exit();
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
