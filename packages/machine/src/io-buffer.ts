/** A user's buffer: pages scattered over RAM, as a process's memory is. */
import { KernelError, type Kernel, PAGE_SIZE } from '@nvme-stack/kernel';
import type { IoBuffer } from './ports.js';

/** Takes scattered pages for `sizeBytes`; throws ENOMEM. */
export function allocBuffer(kernel: Kernel, sizeBytes: number, owner: string): IoBuffer {
  const { memory } = kernel;
  const count = Math.floor((sizeBytes + PAGE_SIZE - 1) / PAGE_SIZE);
  const pages = memory.allocScattered(count, owner);
  if (pages === null) {
    throw new KernelError('ENOMEM', `a buffer of ${sizeBytes} bytes needs ${count} pages; free are ${memory.freePageCount}`);
  }
  let freed = false;
  /** Calls `move` for each piece of the range that lies in one page. */
  const eachPiece = (offset: number, length: number, move: (address: number, done: number, count: number) => void): void => {
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
      eachPiece(offset, bytes.length, (address, done, piece) => memory.bytes.set(bytes.subarray(done, done + piece), address)),
    read: (offset, length) => {
      const out = new Uint8Array(length);
      eachPiece(offset, length, (address, done, piece) => out.set(memory.bytes.subarray(address, address + piece), done));
      return out;
    },
    free: () => {
      if (freed) return;
      freed = true;
      for (const page of pages) memory.freePages(page, 1);
    },
  };
}
