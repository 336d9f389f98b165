/** A user's buffer: pages or longer pieces scattered over RAM, as a process's memory is. */
import { type Kernel, KernelError, NO_PAGE, PAGE_SIZE } from '@nvme-stack/kernel';
import type { IoBuffer } from './ports.js';

/**
 * Takes pages for `sizeBytes`: each apart from the others, or physically contiguous pieces of the given lengths (whole
 * pages, together `sizeBytes`), apart from each other. Throws ENOMEM, EINVAL.
 */
export function allocBuffer(
  kernel: Kernel,
  sizeBytes: number,
  owner: string,
  pieceBytes?: readonly number[],
): IoBuffer {
  const { memory } = kernel;
  const count = pagesOf(sizeBytes);
  const pages =
    pieceBytes === undefined ? memory.allocScattered(count, owner) : allocPieces(kernel, sizeBytes, owner, pieceBytes);
  if (pages === null) {
    throw new KernelError(
      'ENOMEM',
      `a buffer of ${sizeBytes} bytes needs ${count} pages; free are ${memory.freePageCount}`,
    );
  }
  let freed = false;
  /** Calls `move` for each piece of the range that lies in one page. */
  const eachPiece = (
    offset: number,
    length: number,
    move: (address: number, done: number, count: number) => void,
  ): void => {
    for (let done = 0; done < length; ) {
      const at = offset + done;
      const inPage = at % PAGE_SIZE;
      const piece = Math.min(PAGE_SIZE - inPage, length - done);
      move((pages[Math.floor(at / PAGE_SIZE)] as number) + inPage, done, piece);
      done += piece;
    }
  };
  return {
    sizeBytes,
    pages,
    write: (offset, bytes) =>
      eachPiece(offset, bytes.length, (address, done, piece) =>
        memory.bytes.set(bytes.subarray(done, done + piece), address),
      ),
    read: (offset, length) => {
      const out = new Uint8Array(length);
      eachPiece(offset, length, (address, done, piece) =>
        out.set(memory.bytes.subarray(address, address + piece), done),
      );
      return out;
    },
    free: () => {
      if (freed) return;
      freed = true;
      for (const page of pages) memory.freePages(page, 1);
    },
  };
}

function pagesOf(sizeBytes: number): number {
  return Math.floor((sizeBytes + PAGE_SIZE - 1) / PAGE_SIZE);
}

function allocPieces(kernel: Kernel, sizeBytes: number, owner: string, pieceBytes: readonly number[]): number[] | null {
  const { memory } = kernel;
  const total = pieceBytes.reduce((sum, length) => sum + length, 0);
  if (total !== sizeBytes || pieceBytes.some((length) => length <= 0 || length % PAGE_SIZE !== 0)) {
    throw new KernelError('EINVAL', `pieceBytes is [${pieceBytes}]; allowed: whole pages, together ${sizeBytes}`);
  }
  const pages: number[] = [];
  const spacers: number[] = [];
  let short = false;
  for (const length of pieceBytes) {
    // A page behind each piece keeps the next one apart; it is given back below.
    const first: number = short ? NO_PAGE : memory.allocPages(pagesOf(length) + 1, owner);
    short ||= first === NO_PAGE;
    for (let at = 0; first !== NO_PAGE && at < length; at += PAGE_SIZE) pages.push(first + at);
    if (first !== NO_PAGE) spacers.push(first + length);
  }
  for (const spacer of spacers) memory.freePages(spacer, 1);
  if (!short) return pages;
  for (const page of pages) memory.freePages(page, 1);
  return null;
}
