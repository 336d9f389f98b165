// A block store over given memory, to be placed in the same ArrayBuffer as RAM.
// Kernel counterpart: none (the medium).
import { BLOCK_STORE_ABORTED, BLOCK_STORE_OK, type BlockStore, type BlockStoreClient } from '../ports.js';
import { isZero, SECTOR_BYTES, SectorMap } from './sector-map.js';

const CACHE_LINE_BYTES = 64;

/**
 * Bytes [byteOffset, byteOffset + sizeBytes) of an arena as a medium; everything completes at once. What it holds at first counts as
 * written, its zeroes do not.
 */
export class MemoryBlockStore implements BlockStore {
  readonly bytes: Uint8Array;
  readonly byteOffset: number;
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** What `willRead` looked at: a look whose outcome nobody keeps would be left out by the engine. */
  looked = 0;
  readonly #map: SectorMap;

  /** Throws a RangeError if the range does not lie within bytes. */
  constructor(bytes: Uint8Array, byteOffset: number, sizeBytes: number, readOnly = false) {
    if (!(byteOffset >= 0 && sizeBytes > 0 && byteOffset + sizeBytes <= bytes.length)) {
      throw new RangeError(
        `memory store range ${byteOffset}+${sizeBytes} is not allowed: it must lie within ${bytes.length} bytes`,
      );
    }
    this.bytes = bytes;
    this.byteOffset = byteOffset;
    this.sizeBytes = sizeBytes;
    this.readOnly = readOnly;
    this.#map = new SectorMap(sizeBytes);
  }

  /** Looks at two cache lines: the processor translates the page's address and begins to fetch, and goes on meanwhile. */
  willRead(offset: number, _length: number): void {
    const { bytes } = this;
    const at = this.byteOffset + offset;
    this.looked = (bytes[at] as number) ^ (bytes[at + CACHE_LINE_BYTES] as number);
  }

  read(offset: number, length: number, client: BlockStoreClient): void {
    const refused = client.piece(this.bytes, this.byteOffset + offset, length);
    client.done(refused === 0 ? BLOCK_STORE_OK : BLOCK_STORE_ABORTED);
  }

  write(offset: number, length: number, client: BlockStoreClient): void {
    this.#map.allocate(offset, length);
    const refused = client.piece(this.bytes, this.byteOffset + offset, length);
    client.done(refused === 0 ? BLOCK_STORE_OK : BLOCK_STORE_ABORTED);
  }

  flush(client: BlockStoreClient): void {
    client.done(BLOCK_STORE_OK);
  }

  discard(offset: number, length: number, client: BlockStoreClient): void {
    this.writeZeroes(offset, length, client);
  }

  writeZeroes(offset: number, length: number, client: BlockStoreClient): void {
    const start = this.byteOffset + offset;
    this.bytes.fill(0, start, start + length);
    this.#map.deallocate(offset, length);
    client.done(BLOCK_STORE_OK);
  }

  isAllocated(offset: number, length: number): boolean {
    if (this.#map.isAllocated(offset, length)) return true;
    const first = offset - (offset % SECTOR_BYTES);
    for (let at = first; at < offset + length; at += SECTOR_BYTES) {
      const isWritten = this.#map.isAllocated(at, 1);
      if (!isWritten && isZero(this.bytes, this.byteOffset + at, Math.min(SECTOR_BYTES, this.sizeBytes - at)))
        return false;
    }
    return true;
  }
}
