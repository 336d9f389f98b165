/** Middleware on any port: chosen methods fail on order, in the way their port says they may. */
import { type ErrnoCode, KernelError } from '../errno.js';

/** How a method fails: by a thrown or rejected error, or by what it returns when it could not. */
export type PortFailure =
  | { readonly throws: ErrnoCode }
  | { readonly rejects: ErrnoCode }
  | { readonly returns: number | boolean | null };

/** Which methods of a port can fail, and how. */
export type PortFailures<P> = { readonly [M in keyof P]?: PortFailure };

/**
 * A port that does what `inner` does, but for calls that `fails(point)` chooses; a point is `port.method`. Every call of a
 * method that can fail is asked about, in order, so that "the nth fallible step" is a number.
 */
export function faultyPort<P extends object>(
  inner: P,
  name: string,
  failures: PortFailures<P>,
  fails: (point: string) => boolean,
): P {
  return new Proxy(inner, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      const failure = failures[key as keyof P];
      if (failure === undefined) return value.bind(target);
      const point = `${name}.${String(key)}`;
      return (...args: unknown[]) => (fails(point) ? fail(failure, point) : value.apply(target, args));
    },
  });
}

function fail(failure: PortFailure, point: string): unknown {
  if ('returns' in failure) return failure.returns;
  if ('throws' in failure) throw new KernelError(failure.throws, point);
  return Promise.reject(new KernelError(failure.rejects, point));
}
