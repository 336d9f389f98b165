// A block store over a raw image file, for Node: larger than memory, synchronous, durable on flush.
// Kernel counterpart: none (the medium).
import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import {
  BLOCK_STORE_ABORTED,
  BLOCK_STORE_IO_ERROR,
  BLOCK_STORE_NO_SPACE,
  BLOCK_STORE_OK,
  BLOCK_STORE_READ_ONLY,
  type BlockStore,
  type BlockStoreClient,
} from './ports.js';

const STAGE_BYTES = 1 << 17;

/** How an image is opened. */
export interface FileBlockStoreOptions {
  readonly readOnly?: boolean;
}

/** A raw image file as a medium; data passes through one staging buffer of 128 KiB. */
export class FileBlockStore implements BlockStore {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly #fd: number;
  readonly #stage = new Uint8Array(STAGE_BYTES);

  /** Opens an existing image; throws Node's error if that fails. */
  constructor(path: string, options: FileBlockStoreOptions = {}) {
    this.readOnly = options.readOnly ?? false;
    this.#fd = openSync(path, this.readOnly ? 'r' : 'r+');
    this.sizeBytes = fstatSync(this.#fd).size;
  }

  /** Closes the file; the store must not be used afterwards. */
  close(): void {
    closeSync(this.#fd);
  }

  read(offset: number, length: number, client: BlockStoreClient): void {
    let status = BLOCK_STORE_OK;
    for (let done = 0; done < length && status === BLOCK_STORE_OK; done += STAGE_BYTES) {
      const count = Math.min(STAGE_BYTES, length - done);
      status = this.#fill(offset + done, count);
      if (status === BLOCK_STORE_OK && client.piece(this.#stage, 0, count) !== 0) status = BLOCK_STORE_ABORTED;
    }
    client.done(status);
  }

  write(offset: number, length: number, client: BlockStoreClient): void {
    let status = this.readOnly ? BLOCK_STORE_READ_ONLY : BLOCK_STORE_OK;
    for (let done = 0; done < length && status === BLOCK_STORE_OK; done += STAGE_BYTES) {
      const count = Math.min(STAGE_BYTES, length - done);
      if (client.piece(this.#stage, 0, count) !== 0) status = BLOCK_STORE_ABORTED;
      else status = this.#store(offset + done, count);
    }
    client.done(status);
  }

  flush(client: BlockStoreClient): void {
    let status = BLOCK_STORE_OK;
    try {
      if (!this.readOnly) fdatasyncSync(this.#fd);
    } catch {
      status = BLOCK_STORE_IO_ERROR;
    }
    client.done(status);
  }

  discard(offset: number, length: number, client: BlockStoreClient): void {
    this.writeZeroes(offset, length, client);
  }

  writeZeroes(offset: number, length: number, client: BlockStoreClient): void {
    let status = this.readOnly ? BLOCK_STORE_READ_ONLY : BLOCK_STORE_OK;
    this.#stage.fill(0);
    for (let done = 0; done < length && status === BLOCK_STORE_OK; done += STAGE_BYTES) {
      status = this.#store(offset + done, Math.min(STAGE_BYTES, length - done));
    }
    client.done(status);
  }

  #fill(position: number, count: number): number {
    try {
      for (let got = 0; got < count; ) {
        const read = readSync(this.#fd, this.#stage, got, count - got, position + got);
        if (read === 0) return BLOCK_STORE_IO_ERROR;
        got += read;
      }
      return BLOCK_STORE_OK;
    } catch {
      return BLOCK_STORE_IO_ERROR;
    }
  }

  #store(position: number, count: number): number {
    try {
      for (let put = 0; put < count; ) put += writeSync(this.#fd, this.#stage, put, count - put, position + put);
      return BLOCK_STORE_OK;
    } catch (error) {
      return (error as { code?: string }).code === 'ENOSPC' ? BLOCK_STORE_NO_SPACE : BLOCK_STORE_IO_ERROR;
    }
  }
}
