/**
 * One step of the stream: 64 bytes for a queue and what of the arena goes with them. Addresses are offsets into the
 * arena until a corner makes them addresses of its own.
 */
import { ARENA_PAGES, type RawHost } from './raw-host.js';

export const PAGE = 4096;

/** Where in the arena what lies, in pages. */
export const DATA_PAGES = 32;
export const LIST_PAGE = 40;
export const QUEUE_PAGE = 48;
export const INPUT_PAGE = 56;
/** An address that is nobody's, on either board. */
export const NOWHERE = 0x7f00000000;

/** An address in a command or in memory: an offset into the arena, or an absolute one. */
export interface Pointer {
  readonly target: number;
  readonly isAbsolute?: boolean;
}

export interface Step {
  /** What it was meant as, before anything was changed: `Read`, `Create I/O Submission Queue`. */
  readonly name: string;
  /** Fields that were made hostile: `dword 12`, `PRP2`. */
  readonly changed: readonly string[];
  readonly queue: number;
  /** The command without its pointers; its identifier is the host's. */
  readonly sqe: Uint8Array;
  /** By byte offset in the command. */
  readonly pointers: readonly (readonly [at: number, pointer: Pointer])[];
  /** First data page of the full PRP list in `LIST_PAGE`, which goes on with the pages after it; -1: there is none. */
  readonly list: number;
  /** Other 64-bit addresses in the arena, by byte offset. */
  readonly entries: readonly (readonly [at: number, pointer: Pointer])[];
  /** Other bytes in the arena. */
  readonly input: readonly (readonly [at: number, bytes: Uint8Array])[];
  /** It may stay outstanding, or make others complete. */
  readonly mayPend: boolean;
  /** Pages that are compared after it. */
  readonly pages: readonly number[];
}

/** Dwords of a command. */
export const dword = (step: Step, index: number): number =>
  new DataView(step.sqe.buffer, step.sqe.byteOffset, 64).getUint32(4 * index, true);

export const opcodeOf = (step: Step): number => step.sqe[0] as number;

const resolve = (host: RawHost, { target, isAbsolute = false }: Pointer): number =>
  isAbsolute ? target : host.arena.busAddr + target;

function putAddress(view: DataView, at: number, address: number): void {
  view.setUint32(at, address % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(address / 2 ** 32), true);
}

function putList({ arena }: RawHost, first: number): void {
  const { u32 } = arena;
  const start = (LIST_PAGE * PAGE) / 4;
  for (let i = 0; i < PAGE / 8; i++) {
    u32[start + 2 * i] = arena.busAddr + ((first + i) % DATA_PAGES) * PAGE;
    u32[start + 2 * i + 1] = 0;
  }
  arena.publish(LIST_PAGE * PAGE, PAGE);
}

/** Makes a step's memory and returns its 64 bytes, with this host's addresses. */
export function prepare(host: RawHost, step: Step): Uint8Array {
  const { arena } = host;
  for (const [at, bytes] of step.input) {
    arena.bytes.set(bytes, at);
    arena.publish(at, bytes.length);
  }
  if (step.list >= 0) putList(host, step.list);
  if (step.entries.length > 0) {
    let [first, last] = [ARENA_PAGES * PAGE, 0];
    for (const [at, pointer] of step.entries) {
      putAddress(arena.view, at, resolve(host, pointer));
      first = Math.min(first, at);
      last = Math.max(last, at + 8);
    }
    arena.publish(first, last - first);
  }
  const sqe = step.sqe.slice();
  const view = new DataView(sqe.buffer);
  for (const [at, pointer] of step.pointers) putAddress(view, at, resolve(host, pointer));
  return sqe;
}

/** Bytes that no address in memory looks like, each page its own. */
export function fillArena(host: RawHost): void {
  const { arena } = host;
  for (let i = 0; i < arena.u32.length; i++) arena.u32[i] = 0xa5000000 + i;
  arena.publish(0, arena.sizeBytes);
}

/** The words of a page, as the corner has them now; addresses in list and queue pages are not compared. */
export function pageWords(host: RawHost, page: number): Uint32Array {
  host.arena.acquire(page * PAGE, PAGE);
  return host.arena.u32.subarray((page * PAGE) / 4, ((page + 1) * PAGE) / 4);
}
