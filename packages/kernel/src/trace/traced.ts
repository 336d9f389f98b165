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
export function traced<S extends HasKernel, P extends readonly unknown[], R>(
  id: string,
  fn: (self: S, ...rest: P) => R,
): (self: S, ...rest: P) => R {
  const call = fn as unknown as (self: S, a: unknown, b: unknown, c: unknown) => R;
  // Written out, because rest parameters cost an array per call.
  const wrapper = (self: S, a: unknown, b: unknown, c: unknown): R => {
    const { ex, trace, costs } = self.kernel;
    ex.assertAwake(id);
    ex.charge(costs.functionNs);
    if (!trace.functions) return call(self, a, b, c);
    trace.enter(id);
    let result: R;
    try {
      result = call(self, a, b, c);
    } catch (error) {
      trace.exit();
      throw error;
    }
    if (isThenable(result)) return exitAfter(trace, result) as R;
    trace.exit();
    return result;
  };
  return wrapper as unknown as (self: S, ...rest: P) => R;
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
