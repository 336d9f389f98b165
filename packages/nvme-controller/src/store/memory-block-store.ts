// A block store over given memory, to be placed in the same ArrayBuffer as RAM.
// Kernel counterpart: none (the medium).
import { BLOCK_STORE_ABORTED, BLOCK_STORE_OK, type BlockStore, type BlockStoreClient } from '../ports.js';

/** Bytes [byteOffset, byteOffset + sizeBytes) of an arena as a medium; everything completes at once. */
export class MemoryBlockStore implements BlockStore {
  readonly bytes: Uint8Array;
  readonly byteOffset: number;
  readonly sizeBytes: number;
  readonly readOnly: boolean;

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
  }

  read(offset: number, length: number, client: BlockStoreClient): void {
    const refused = client.piece(this.bytes, this.byteOffset + offset, length);
    client.done(refused === 0 ? BLOCK_STORE_OK : BLOCK_STORE_ABORTED);
  }

  write(offset: number, length: number, client: BlockStoreClient): void {
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
    client.done(BLOCK_STORE_OK);
  }
}
