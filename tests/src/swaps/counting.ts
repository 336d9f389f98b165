/** A decorator for any port object: counts the calls that pass through it and changes nothing. */

/** How often each method was called. */
export class CallCounts {
  readonly calls = new Map<string, number>();

  add(method: string): void {
    this.calls.set(method, (this.calls.get(method) ?? 0) + 1);
  }

  get total(): number {
    let total = 0;
    for (const count of this.calls.values()) total += count;
    return total;
  }
}

/** The same object behind a counter: the port's methods, called on it, are counted and passed on. */
export function counting<T extends object>(port: T, counts: CallCounts): T {
  const wrapped = new Map<PropertyKey, unknown>();
  return new Proxy(port, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      let wrapper = wrapped.get(property);
      if (wrapper === undefined) {
        wrapper = (...args: unknown[]): unknown => {
          counts.add(String(property));
          return Reflect.apply(value as (...rest: unknown[]) => unknown, target, args);
        };
        wrapped.set(property, wrapper);
      }
      return wrapper;
    },
    set: (target, property, value) => Reflect.set(target, property, value, target),
  });
}
