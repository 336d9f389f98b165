/**
 * A medium of the user's own, which may take the host's time (a network, a promise). From a request that is not done when
 * its call returns until the store is done with it virtual time stands still; its data move, and the controller hears of
 * it, in device context and in the order of the requests. So the host's timing never shows, and a store that is done
 * before its call returns costs nothing. No kernel counterpart: it is the medium.
 */
import type { Executor } from '@nvme-stack/kernel';
import {
  BLOCK_STORE_ABORTED,
  BLOCK_STORE_OK,
  type BlockStore,
  type BlockStoreClient,
} from '@nvme-stack/nvme-controller/ports';

/** What makes time stand still. */
export type TimeHolder = Pick<Executor, 'hostHold'>;

const NO_DATA = 0;
const READ = 1;
const WRITE = 2;

/** `store`, with time standing still while it works; `holder` is asked for at the first request that takes its time. */
export class HeldStore implements BlockStore {
  /** Absent where the store does not know. */
  readonly isAllocated?: (offset: number, length: number) => boolean;
  private readonly store: BlockStore;
  private readonly holder: () => TimeHolder;
  private spare: StoreRequest | null;

  constructor(store: BlockStore, holder: () => TimeHolder) {
    this.store = store;
    this.holder = holder;
    this.spare = null;
    const { isAllocated } = store;
    if (isAllocated !== undefined) this.isAllocated = isAllocated.bind(store);
  }

  get sizeBytes(): number {
    return this.store.sizeBytes;
  }

  get readOnly(): boolean {
    return this.store.readOnly;
  }

  read(offset: number, length: number, client: BlockStoreClient): void {
    const request = this.begin(client, READ, length);
    this.store.read(offset, length, request);
    this.returned(request);
  }

  write(offset: number, length: number, client: BlockStoreClient): void {
    const request = this.begin(client, WRITE, length);
    this.store.write(offset, length, request);
    this.returned(request);
  }

  flush(client: BlockStoreClient): void {
    const request = this.begin(client, NO_DATA, 0);
    this.store.flush(request);
    this.returned(request);
  }

  discard(offset: number, length: number, client: BlockStoreClient): void {
    const request = this.begin(client, NO_DATA, 0);
    this.store.discard(offset, length, request);
    this.returned(request);
  }

  writeZeroes(offset: number, length: number, client: BlockStoreClient): void {
    const request = this.begin(client, NO_DATA, 0);
    this.store.writeZeroes(offset, length, request);
    this.returned(request);
  }

  private begin(client: BlockStoreClient, kind: number, lengthBytes: number): StoreRequest {
    const request = this.spare ?? new StoreRequest();
    this.spare = null;
    request.client = client;
    request.kind = kind;
    request.leftBytes = lengthBytes;
    request.isDone = false;
    return request;
  }

  /** A request that was done at once is used again; one that is late never is, so that a late `done` finds its own. */
  private returned(request: StoreRequest): void {
    if (request.isDone) this.spare = request;
    else request.hold(this.holder());
  }
}

/** One request, between the store and the controller. */
class StoreRequest implements BlockStoreClient {
  client: BlockStoreClient | null;
  kind: number;
  /** Bytes that no piece has carried yet. */
  leftBytes: number;
  isDone: boolean;
  private release: (() => void) | null;
  /** What the rest of a late request reads or writes, and how much of it pieces have carried. */
  private buffer: Uint8Array;
  private at: number;
  /** What the controller said to the data of a late write. */
  private refusal: number;
  private status: number;

  constructor() {
    this.client = null;
    this.kind = NO_DATA;
    this.leftBytes = 0;
    this.isDone = false;
    this.release = null;
    this.buffer = new Uint8Array(0);
    this.at = 0;
    this.refusal = 0;
    this.status = BLOCK_STORE_OK;
  }

  piece(bytes: Uint8Array, offset: number, length: number): number {
    if (this.release === null) {
      this.leftBytes -= length;
      return (this.client as BlockStoreClient).piece(bytes, offset, length);
    }
    if (this.refusal !== 0) return this.refusal;
    if (this.kind === READ) this.buffer.set(bytes.subarray(offset, offset + length), this.at);
    else bytes.set(this.buffer.subarray(this.at, this.at + length), offset);
    this.at += length;
    return 0;
  }

  done(status: number): void {
    this.isDone = true;
    if (this.release === null) {
      (this.client as BlockStoreClient).done(status);
      return;
    }
    this.status = status;
    this.release();
  }

  /** The call returned and the store goes on working: what it will write is fetched now, in device context. */
  hold(holder: TimeHolder): void {
    this.buffer = new Uint8Array(this.leftBytes);
    if (this.kind === WRITE && this.leftBytes > 0) {
      this.refusal = (this.client as BlockStoreClient).piece(this.buffer, 0, this.leftBytes);
    }
    this.release = holder.hostHold(finish, this);
  }

  /** Hands over what was read and ends the request. */
  end(): void {
    const client = this.client as BlockStoreClient;
    let { status } = this;
    if (this.kind === READ && this.at > 0 && client.piece(this.buffer, 0, this.at) !== 0 && status === BLOCK_STORE_OK) {
      status = BLOCK_STORE_ABORTED;
    }
    client.done(status);
  }
}

function finish(request: StoreRequest): void {
  request.end();
}
