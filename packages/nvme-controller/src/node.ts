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
import { isZero, SECTOR_BYTES, SectorMap } from './store/sector-map.js';

const STAGE_BYTES = 1 << 17;
/** Bytes that one map of sectors covers; maps are made when something is written there. */
const MAPPED_BYTES = 1 << 26;

/** How an image is opened. */
export interface FileBlockStoreOptions {
  readonly readOnly?: boolean;
}

/**
 * A raw image file as a medium; data passes through one staging buffer of 128 KiB. Sectors of an image that are all
 * zeroes when it is opened count as never written.
 */
export class FileBlockStore implements BlockStore {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly #fd: number;
  readonly #stage = new Uint8Array(STAGE_BYTES);
  readonly #sector = new Uint8Array(SECTOR_BYTES);
  readonly #maps = new Map<number, SectorMap>();

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
      status = this.#fill(this.#stage, offset + done, count);
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
      if (status === BLOCK_STORE_OK) this.#mark(offset + done, count, true);
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
      const count = Math.min(STAGE_BYTES, length - done);
      status = this.#store(offset + done, count);
      if (status === BLOCK_STORE_OK) this.#mark(offset + done, count, false);
    }
    client.done(status);
  }

  isAllocated(offset: number, length: number): boolean {
    for (let at = offset - (offset % SECTOR_BYTES); at < offset + length; at += SECTOR_BYTES) {
      if (this.#maps.get(Math.floor(at / MAPPED_BYTES))?.isAllocated(at % MAPPED_BYTES, 1)) continue;
      const count = Math.min(SECTOR_BYTES, this.sizeBytes - at);
      if (this.#fill(this.#sector, at, count) === BLOCK_STORE_OK && isZero(this.#sector, 0, count)) return false;
    }
    return true;
  }

  /** Notes that the range was written, or deallocated. */
  #mark(offset: number, length: number, allocated: boolean): void {
    for (let at = offset; at < offset + length; ) {
      const within = at % MAPPED_BYTES;
      const count = Math.min(MAPPED_BYTES - within, offset + length - at);
      const index = Math.floor(at / MAPPED_BYTES);
      let map = this.#maps.get(index);
      if (map === undefined && allocated) {
        map = new SectorMap(MAPPED_BYTES);
        this.#maps.set(index, map);
      }
      if (allocated) map?.allocate(within, count);
      else map?.deallocate(within, count);
      at += count;
    }
  }

  #fill(into: Uint8Array, position: number, count: number): number {
    try {
      for (let got = 0; got < count; ) {
        const read = readSync(this.#fd, into, got, count - got, position + got);
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
