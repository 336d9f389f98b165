// What a fault does to a piece of a command's data.
// Kernel counterpart: none.
import type { DataFault } from '../ports.js';

/** Alters what of the fault's range lies in this piece: `length` bytes at (bytes, offset), the data's bytes from `from` on. */
export function alterData(fault: DataFault, bytes: Uint8Array, offset: number, length: number, from: number): void {
  const { replace, xor = 0xff, fails } = fault;
  if (fails === true) return;
  const start = Math.max(fault.offset, from);
  const end = Math.min(fault.offset + (fault.length ?? replace?.length ?? 1), from + length);
  for (let at = start; at < end; at++) {
    const i = offset + at - from;
    const wanted = replace === undefined ? (bytes[i] as number) ^ xor : replace[at - fault.offset];
    if (wanted !== undefined) bytes[i] = wanted;
  }
}
