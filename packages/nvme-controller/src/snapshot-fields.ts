// An object's own fields as plain data, and back: numbers, texts, lists, sets and typed arrays; references are not fields.
// Kernel counterpart: none.

/** What a field becomes; Infinity, which JSON has not, is its name. */
export type PlainValue =
  | number
  | boolean
  | string
  | null
  | readonly PlainValue[]
  | { readonly [name: string]: PlainValue };
/** Fields by name. */
export type PlainFields = { readonly [name: string]: PlainValue };

type TypedArray = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array;
type Fields = Record<string, unknown>;

function isTypedArray(value: unknown): value is TypedArray {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

function plain(value: unknown): PlainValue {
  if (value === Number.POSITIVE_INFINITY) return 'Infinity';
  if (value instanceof Set) return [...value].map(plain);
  if (isTypedArray(value)) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plain(one)]));
  }
  return value as PlainValue;
}

/** The fields of `from`, but for those in `but`. */
export function fieldsOf(from: object, but: readonly string[] = []): PlainFields {
  return Object.fromEntries(
    Object.entries(from)
      .filter(([name]) => !but.includes(name))
      .map(([name, value]) => [name, plain(value)]),
  );
}

/** Sets the fields of `to`; what is a list, a set or a typed array there is filled, not replaced. */
export function setFields(to: object, fields: PlainFields): void {
  const target = to as Fields;
  for (const [name, value] of Object.entries(fields)) {
    const old = target[name];
    if (old instanceof Set) {
      old.clear();
      for (const one of value as PlainValue[]) old.add(one);
    } else if (isTypedArray(old)) {
      old.set(value as number[]);
    } else if (Array.isArray(old)) {
      old.splice(0, old.length, ...(value as PlainValue[]));
    } else {
      target[name] = value === 'Infinity' ? Number.POSITIVE_INFINITY : value;
    }
  }
}
