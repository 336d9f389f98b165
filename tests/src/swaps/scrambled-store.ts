/**
 * A medium unlike the machine's own: blocks appear when first written, are kept scrambled, and are handed out in
 * pieces of an odd size from a buffer of its own.
 */
import {
  BLOCK_STORE_ABORTED,
  BLOCK_STORE_OK,
  BLOCK_STORE_READ_ONLY,
  type BlockStore,
  type BlockStoreClient,
} from '@nvme-stack/nvme-controller/ports';

const BLOCK_BYTES = 512;
const PIECE_BYTES = 300;
const MASK = 0xa5;

export class ScrambledStore implements BlockStore {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  reads = 0;
  writes = 0;
  private readonly blocks = new Map<number, Uint8Array>();
  private readonly piece = new Uint8Array(PIECE_BYTES);

  constructor(sizeBytes: number, readOnly: boolean) {
    this.sizeBytes = sizeBytes;
    this.readOnly = readOnly;
  }

  /** Blocks that hold data. */
  get blockCount(): number {
    return this.blocks.size;
  }

  /** A byte as the medium has it; 0 where there is no block. */
  rawByte(offset: number): number {
    return this.blocks.get(Math.floor(offset / BLOCK_BYTES))?.[offset % BLOCK_BYTES] ?? 0;
  }

  read(offset: number, length: number, client: BlockStoreClient): void {
    this.reads++;
    this.move(offset, length, client, (count, at) => {
      for (let i = 0; i < count; i++) {
        const block = this.blocks.get(Math.floor((at + i) / BLOCK_BYTES));
        this.piece[i] = block === undefined ? 0 : (block[(at + i) % BLOCK_BYTES] as number) ^ MASK;
      }
      return client.piece(this.piece, 0, count);
    });
  }

  write(offset: number, length: number, client: BlockStoreClient): void {
    if (this.readOnly) {
      client.done(BLOCK_STORE_READ_ONLY);
      return;
    }
    this.writes++;
    this.move(offset, length, client, (count, at) => {
      const refused = client.piece(this.piece, 0, count);
      if (refused === 0) this.keep(at, count);
      return refused;
    });
  }

  private move(
    offset: number,
    length: number,
    client: BlockStoreClient,
    step: (count: number, at: number) => number,
  ): void {
    for (let done = 0; done < length; done += PIECE_BYTES) {
      if (step(Math.min(PIECE_BYTES, length - done), offset + done) !== 0) {
        client.done(BLOCK_STORE_ABORTED);
        return;
      }
    }
    client.done(BLOCK_STORE_OK);
  }

  private keep(offset: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const number = Math.floor((offset + i) / BLOCK_BYTES);
      let block = this.blocks.get(number);
      if (block === undefined) {
        block = new Uint8Array(BLOCK_BYTES).fill(MASK);
        this.blocks.set(number, block);
      }
      block[(offset + i) % BLOCK_BYTES] = (this.piece[i] as number) ^ MASK;
    }
  }

  flush(client: BlockStoreClient): void {
    client.done(BLOCK_STORE_OK);
  }

  discard(offset: number, length: number, client: BlockStoreClient): void {
    for (let at = offset; at < offset + length; at += BLOCK_BYTES) this.blocks.delete(Math.floor(at / BLOCK_BYTES));
    client.done(BLOCK_STORE_OK);
  }

  writeZeroes(offset: number, length: number, client: BlockStoreClient): void {
    this.discard(offset, length, client);
  }
}
