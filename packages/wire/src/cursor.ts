/**
 * Cursors over wire structs: one object that is moved over memory, with a getter and setter per field.
 * The class of a struct's cursors is made once when the struct is declared; access and `at` allocate nothing.
 * Kernel counterpart: a `struct nvme_command *` that walks a ring, with cpu_to_le32() and friends.
 */
import type {
  ArrayField,
  AsciiField,
  BytesField,
  ElementField,
  StructField,
  StructFields,
  U64Field,
  WordField,
} from './fields.js';
import type { PlacedField } from './layout.js';
import type { AnyStruct, WireStruct } from './struct.js';
import { readAscii, writeAscii } from './text.js';

const WORD = 4294967296;
/** 2^-32, exact: a product is cheaper than a quotient. */
const PER_WORD = 1 / WORD;

type CursorChild = CursorBase | ArrayCursor<unknown>;

/** Memory a cursor may stand on. */
export type Memory = ArrayBufferLike | Uint8Array;

/** What every cursor has, beside its fields. */
export class CursorBase {
  view: DataView;
  /** Byte offset of the struct under the cursor, from the start of the memory it was made for. */
  base: number;
  bytes: Uint8Array;
  /** Cursors of nested structs and arrays, made at their first use. */
  children: CursorChild[] | null;

  constructor(memory: Memory) {
    const bytes = memory instanceof Uint8Array ? memory : new Uint8Array(memory);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.base = 0;
    this.bytes = bytes;
    this.children = null;
  }

  /** Moves the cursor to `byteOffset` and returns it. Allocates nothing; an access outside the memory throws a RangeError. */
  at(byteOffset: number): this {
    this.base = byteOffset;
    return this;
  }
}

/** An array inside a struct; elements are words, or cursors that `at` moves. */
export interface ArrayCursor<Element> {
  readonly length: number;
  /** Element `index`; for structs the array's one element cursor, moved. Any context. */
  get(index: number): Element;
  /** Writes a word; throws a `TypeError` for arrays of structs. */
  set(index: number, value: number): void;
}

type ElementCursor<F> = F extends StructField<WireStruct<infer Fields>> ? StructCursor<Fields> : number;

type WritableNames<Fields extends StructFields> = {
  [Name in keyof Fields]: Fields[Name] extends WordField | U64Field | BytesField | AsciiField ? Name : never;
}[keyof Fields];

type PlacedNames<Fields extends StructFields> = {
  [Name in keyof Fields]: Fields[Name] extends StructField<AnyStruct> | ArrayField<ElementField> ? Name : never;
}[keyof Fields];

type U64Names<Fields extends StructFields> = {
  [Name in keyof Fields]: Fields[Name] extends U64Field ? (Name extends string ? Name : never) : never;
}[keyof Fields];

type WritableValue<F> = F extends WordField | U64Field ? number : F extends AsciiField ? string : Uint8Array;

type PlacedValue<F> = F extends ArrayField<infer Element> ? ArrayCursor<ElementCursor<Element>> : ElementCursor<F>;

/** The cursor of a struct: its fields as properties, `nameLo`/`nameHi` for 64-bit ones. */
export type StructCursor<Fields extends StructFields> = CursorBase & {
  [Name in WritableNames<Fields>]: WritableValue<Fields[Name]>;
} & {
  readonly [Name in PlacedNames<Fields>]: PlacedValue<Fields[Name]>;
} & {
  [Name in U64Names<Fields> as `${Name}Lo` | `${Name}Hi`]: number;
};

/** A struct's cursor class. */
export type CursorClass = new (memory: Memory) => CursorBase;

/** Makes the cursor class of a struct from its placed fields. */
export function makeCursorClass(name: string, placed: readonly PlacedField[]): CursorClass {
  class Cursor extends CursorBase {}
  Object.defineProperty(Cursor, 'name', { value: `${name}Cursor` });
  let children = 0;
  for (const { name: fieldName, offset, field } of placed) {
    switch (field.kind) {
      case 'u8':
      case 'u16':
      case 'u32':
        defineWord(Cursor.prototype, fieldName, offset, field.sizeBytes);
        break;
      case 'u64':
        defineU64(Cursor.prototype, fieldName, offset);
        defineWord(Cursor.prototype, `${fieldName}Lo`, offset, 4);
        defineWord(Cursor.prototype, `${fieldName}Hi`, offset + 4, 4);
        break;
      case 'bytes':
        defineBytes(Cursor.prototype, fieldName, offset, field);
        break;
      case 'ascii':
        defineAscii(Cursor.prototype, fieldName, offset, field);
        break;
      case 'struct':
        defineStruct(Cursor.prototype, fieldName, offset, field, children++);
        break;
      case 'array':
        defineArray(Cursor.prototype, fieldName, offset, field, children++);
        break;
      case 'reserved':
        break;
    }
  }
  return Cursor;
}

function defineWord(prototype: CursorBase, name: string, offset: number, sizeBytes: number): void {
  if (sizeBytes === 1) {
    define(prototype, name, {
      get(this: CursorBase): number {
        return this.view.getUint8(this.base + offset);
      },
      set(this: CursorBase, value: number) {
        this.view.setUint8(this.base + offset, value);
      },
    });
  } else if (sizeBytes === 2) {
    define(prototype, name, {
      get(this: CursorBase): number {
        return this.view.getUint16(this.base + offset, true);
      },
      set(this: CursorBase, value: number) {
        this.view.setUint16(this.base + offset, value, true);
      },
    });
  } else {
    define(prototype, name, {
      get(this: CursorBase): number {
        return this.view.getUint32(this.base + offset, true);
      },
      set(this: CursorBase, value: number) {
        this.view.setUint32(this.base + offset, value, true);
      },
    });
  }
}

function defineU64(prototype: CursorBase, name: string, offset: number): void {
  define(prototype, name, {
    get(this: CursorBase): number {
      const start = this.base + offset;
      return this.view.getUint32(start + 4, true) * WORD + this.view.getUint32(start, true);
    },
    set(this: CursorBase, value: number) {
      const start = this.base + offset;
      this.view.setUint32(start, value, true);
      this.view.setUint32(start + 4, value * PER_WORD, true);
    },
  });
}

function defineBytes(prototype: CursorBase, name: string, offset: number, field: BytesField): void {
  define(prototype, name, {
    get(this: CursorBase): Uint8Array {
      const start = this.base + offset;
      return this.bytes.subarray(start, start + field.sizeBytes);
    },
    set(this: CursorBase, value: Uint8Array) {
      if (value.length !== field.sizeBytes) {
        throw new RangeError(`${name} takes ${field.sizeBytes} bytes, not ${value.length}`);
      }
      this.bytes.set(value, this.base + offset);
    },
  });
}

function defineAscii(prototype: CursorBase, name: string, offset: number, field: AsciiField): void {
  define(prototype, name, {
    get(this: CursorBase): string {
      return readAscii(this.bytes, this.base + offset, field.sizeBytes, field.pad);
    },
    set(this: CursorBase, value: string) {
      writeAscii(this.bytes, this.base + offset, field.sizeBytes, field.pad, value, name);
    },
  });
}

function defineStruct(
  prototype: CursorBase,
  name: string,
  offset: number,
  field: StructField<AnyStruct>,
  child: number,
): void {
  define(prototype, name, {
    get(this: CursorBase): CursorBase {
      const cursor = (childOf(this, child) ?? adopt(this, child, field.struct.cursor(this.bytes))) as CursorBase;
      cursor.base = this.base + offset;
      return cursor;
    },
  });
}

function defineArray(
  prototype: CursorBase,
  name: string,
  offset: number,
  field: ArrayField<ElementField>,
  child: number,
): void {
  define(prototype, name, {
    get(this: CursorBase): ArrayCursor<unknown> {
      const made = childOf(this, child) ?? adopt(this, child, makeArrayCursor(this, offset, field));
      return made as ArrayCursor<unknown>;
    },
  });
}

function childOf(owner: CursorBase, index: number): CursorChild | undefined {
  return owner.children === null ? undefined : owner.children[index];
}

function adopt(owner: CursorBase, index: number, child: CursorChild): CursorChild {
  if (owner.children === null) owner.children = [];
  owner.children[index] = child;
  return child;
}

function makeArrayCursor(owner: CursorBase, offset: number, field: ArrayField<ElementField>): ArrayCursor<unknown> {
  const { element, count } = field;
  if (element.kind === 'struct') return new StructArrayCursor(owner, offset, count, element);
  return new WordArrayCursor(owner, offset, count, element);
}

class WordArrayCursor implements ArrayCursor<number> {
  readonly length: number;
  readonly #owner: CursorBase;
  readonly #offset: number;
  readonly #sizeBytes: number;

  constructor(owner: CursorBase, offset: number, count: number, element: WordField | U64Field) {
    this.length = count;
    this.#owner = owner;
    this.#offset = offset;
    this.#sizeBytes = element.sizeBytes;
  }

  get(index: number): number {
    const start = this.#start(index);
    const view = this.#owner.view;
    if (this.#sizeBytes === 1) return view.getUint8(start);
    if (this.#sizeBytes === 2) return view.getUint16(start, true);
    if (this.#sizeBytes === 4) return view.getUint32(start, true);
    return view.getUint32(start + 4, true) * WORD + view.getUint32(start, true);
  }

  set(index: number, value: number): void {
    const start = this.#start(index);
    const view = this.#owner.view;
    if (this.#sizeBytes === 1) view.setUint8(start, value);
    else if (this.#sizeBytes === 2) view.setUint16(start, value, true);
    else view.setUint32(start, value, true);
    if (this.#sizeBytes === 8) view.setUint32(start + 4, value * PER_WORD, true);
  }

  #start(index: number): number {
    checkIndex(index, this.length);
    return this.#owner.base + this.#offset + index * this.#sizeBytes;
  }
}

class StructArrayCursor implements ArrayCursor<CursorBase> {
  readonly length: number;
  readonly #owner: CursorBase;
  readonly #offset: number;
  readonly #sizeBytes: number;
  readonly #cursor: CursorBase;

  constructor(owner: CursorBase, offset: number, count: number, element: StructField<AnyStruct>) {
    this.length = count;
    this.#owner = owner;
    this.#offset = offset;
    this.#sizeBytes = element.sizeBytes;
    this.#cursor = element.struct.cursor(owner.bytes);
  }

  get(index: number): CursorBase {
    checkIndex(index, this.length);
    return this.#cursor.at(this.#owner.base + this.#offset + index * this.#sizeBytes);
  }

  set(): never {
    throw new TypeError('an array of structs is written through get(index)');
  }
}

function checkIndex(index: number, length: number): void {
  if (!(index >= 0 && index < length)) throw new RangeError(`array index ${index} is outside 0 to ${length - 1}`);
}

function define(prototype: CursorBase, name: string, accessors: PropertyDescriptor): void {
  Object.defineProperty(prototype, name, { ...accessors, enumerable: true, configurable: false });
}
