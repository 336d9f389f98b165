// A block store that holds only the chunks that were written; a large empty medium costs nothing.
// Kernel counterpart: none (the medium).
import { BLOCK_STORE_ABORTED, BLOCK_STORE_OK, type BlockStore, type BlockStoreClient } from '../ports.js';
import { SectorMap } from './sector-map.js';

const CHUNK_BYTES = 1 << 16;

class Chunk {
  readonly bytes = new Uint8Array(CHUNK_BYTES);
  readonly map = new SectorMap(CHUNK_BYTES);
}

/** A medium in chunks of 64 KiB, allocated at the first write and freed when wholly discarded; completes at once. */
export class SparseBlockStore implements BlockStore {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly #chunks = new Map<number, Chunk>();
  readonly #zeroes = new Uint8Array(CHUNK_BYTES);

  /** sizeBytes is a positive whole number. */
  constructor(sizeBytes: number, readOnly = false) {
    if (!(sizeBytes > 0 && sizeBytes % 1 === 0)) {
      throw new RangeError(`sparse store sizeBytes ${sizeBytes} is not allowed: it must be a positive whole number`);
    }
    this.sizeBytes = sizeBytes;
    this.readOnly = readOnly;
  }

  /** Bytes of memory in use for data. */
  get allocatedBytes(): number {
    return this.#chunks.size * CHUNK_BYTES;
  }

  read(offset: number, length: number, client: BlockStoreClient): void {
    let refused = 0;
    for (let at = offset; at < offset + length && refused === 0; ) {
      const within = at % CHUNK_BYTES;
      const count = Math.min(CHUNK_BYTES - within, offset + length - at);
      const chunk = this.#chunks.get((at - within) / CHUNK_BYTES);
      refused = client.piece(chunk?.bytes ?? this.#zeroes, within, count);
      at += count;
    }
    client.done(refused === 0 ? BLOCK_STORE_OK : BLOCK_STORE_ABORTED);
  }

  write(offset: number, length: number, client: BlockStoreClient): void {
    let refused = 0;
    for (let at = offset; at < offset + length && refused === 0; ) {
      const within = at % CHUNK_BYTES;
      const count = Math.min(CHUNK_BYTES - within, offset + length - at);
      const chunk = this.#chunkForWrite((at - within) / CHUNK_BYTES);
      chunk.map.allocate(within, count);
      refused = client.piece(chunk.bytes, within, count);
      at += count;
    }
    client.done(refused === 0 ? BLOCK_STORE_OK : BLOCK_STORE_ABORTED);
  }

  flush(client: BlockStoreClient): void {
    client.done(BLOCK_STORE_OK);
  }

  discard(offset: number, length: number, client: BlockStoreClient): void {
    this.writeZeroes(offset, length, client);
  }

  writeZeroes(offset: number, length: number, client: BlockStoreClient): void {
    for (let at = offset; at < offset + length; ) {
      const within = at % CHUNK_BYTES;
      const count = Math.min(CHUNK_BYTES - within, offset + length - at);
      const index = (at - within) / CHUNK_BYTES;
      if (count === CHUNK_BYTES) this.#chunks.delete(index);
      else {
        const chunk = this.#chunks.get(index);
        chunk?.bytes.fill(0, within, within + count);
        chunk?.map.deallocate(within, count);
      }
      at += count;
    }
    client.done(BLOCK_STORE_OK);
  }

  isAllocated(offset: number, length: number): boolean {
    for (let at = offset; at < offset + length; ) {
      const within = at % CHUNK_BYTES;
      const count = Math.min(CHUNK_BYTES - within, offset + length - at);
      const chunk = this.#chunks.get((at - within) / CHUNK_BYTES);
      if (chunk === undefined || !chunk.map.isAllocated(within, count)) return false;
      at += count;
    }
    return true;
  }

  #chunkForWrite(index: number): Chunk {
    let chunk = this.#chunks.get(index);
    if (chunk === undefined) {
      chunk = new Chunk();
      this.#chunks.set(index, chunk);
    }
    return chunk;
  }
}
