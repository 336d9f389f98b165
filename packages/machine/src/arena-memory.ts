/**
 * The bytes of an arena, and the fastest way to move them about. Kernel counterpart: arch/x86/lib/memmove_64.S memmove.
 *
 * V8's `copyWithin` spends about 100 ns per call on its way to memmove, and WebAssembly's `memory.copy` next to none:
 * random 4 KiB blocks of 64 MiB take 350 and 250 ns in a loop. Where there is no WebAssembly, or none so large, an
 * ordinary array serves as well.
 */

/** Moves `length` bytes within the arena, as if through a buffer. All must lie inside. */
export type ArenaMove = (toOffset: number, fromOffset: number, length: number) => void;

/** Zeroed bytes, and their `move` where there is a better one than `copyWithin`. */
export interface ArenaMemory {
  readonly bytes: Uint8Array;
  readonly move: ArenaMove | null;
}

/** What is used of the engine's WebAssembly. */
interface WebAssemblyApi {
  readonly Memory: new (limits: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: { readonly move: ArenaMove } };
}

declare const WebAssembly: WebAssemblyApi | undefined;

const WASM_PAGE_BYTES = 65536;
const WASM_MAX_PAGES = 65536;

/** `(module (import "arena" "memory" (memory 1)) (func (export "move") (param i32 i32 i32) (memory.copy …)))` */
const MOVE_MODULE = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // magic, version
  ...[0x01, 0x07, 0x01, 0x60, 0x03, 0x7f, 0x7f, 0x7f, 0x00], // types: (i32, i32, i32) -> ()
  ...[0x02, 0x11, 0x01, 0x05, 0x61, 0x72, 0x65, 0x6e, 0x61], // imports: "arena"
  ...[0x06, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 0x02, 0x00, 0x01], // "memory", at least one page
  ...[0x03, 0x02, 0x01, 0x00], // functions: one, of type 0
  ...[0x07, 0x08, 0x01, 0x04, 0x6d, 0x6f, 0x76, 0x65, 0x00, 0x00], // exports: "move"
  ...[0x0a, 0x0e, 0x01, 0x0c, 0x00], // code: one body without locals
  ...[0x20, 0x00, 0x20, 0x01, 0x20, 0x02, 0xfc, 0x0a, 0x00, 0x00, 0x0b], // memory.copy(to, from, length)
);

/** Allocates an arena; throws RangeError when there is no such amount of memory. */
export function allocateArena(sizeBytes: number): ArenaMemory {
  return wasmArena(sizeBytes) ?? { bytes: new Uint8Array(sizeBytes), move: null };
}

function wasmArena(sizeBytes: number): ArenaMemory | null {
  const pages = Math.floor((sizeBytes + WASM_PAGE_BYTES - 1) / WASM_PAGE_BYTES);
  if (typeof WebAssembly === 'undefined' || pages > WASM_MAX_PAGES) return null;
  try {
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const { move } = new WebAssembly.Instance(new WebAssembly.Module(MOVE_MODULE), { arena: { memory } }).exports;
    return { bytes: new Uint8Array(memory.buffer, 0, sizeBytes), move };
  } catch {
    // A page's policy may forbid WebAssembly, and address space for its guard regions may be short.
    return null;
  }
}
