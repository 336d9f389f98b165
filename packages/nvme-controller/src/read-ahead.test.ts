// Stores are told of a batch's reads before the first of them, and of nothing else.
import * as nvme from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { type BlockStoreClient, createNvmeController, MemoryBlockStore } from './index.js';
import { RegisterDriver } from './testing.js';

const { read: READ, write: WRITE } = nvme.NvmeNvmOpcode;
const NAMESPACE_BYTES = 1 << 16;
const BLOCKS = NAMESPACE_BYTES / 512;

class ListeningStore extends MemoryBlockStore {
  readonly heard: string[] = [];

  override willRead(offset: number, length: number): void {
    this.heard.push(`hint ${offset} ${length}`);
    super.willRead(offset, length);
  }
  override read(offset: number, length: number, client: BlockStoreClient): void {
    this.heard.push(`read ${offset}`);
    super.read(offset, length, client);
  }
}

/** What the store hears of commands that one doorbell announces. */
function heardOf(commands: readonly { opcode: number; slba: number }[]): string[] {
  const store = new ListeningStore(new Uint8Array(NAMESPACE_BYTES), 0, NAMESPACE_BYTES);
  const fn = createNvmeController({ namespaces: [{ sizeBytes: NAMESPACE_BYTES }] }, { createStore: () => store });
  const driver = new RegisterDriver(fn, { ramBytes: 1 << 19 });
  fn.configWrite(4, 6, 2);
  driver.enable();
  driver.createQueuePair(1, 16);
  for (const { opcode, slba } of commands) driver.put(1, { opcode, nsid: 1, prp1: 0x40000, cdw10: slba, cdw12: 7 });
  driver.ring(1);
  driver.host.pump();
  return store.heard;
}

describe('reading ahead', () => {
  it('tells a store of the reads of a batch, in order, before the first of them', () => {
    const reads = [8, 64, 0].map((slba) => ({ opcode: READ, slba }));
    expect(heardOf(reads)).toEqual([
      'hint 4096 4096',
      'hint 32768 4096',
      'hint 0 4096',
      'read 4096',
      'read 32768',
      'read 0',
    ]);
  });

  it('says nothing of a read that comes alone', () => {
    expect(heardOf([{ opcode: READ, slba: 8 }])).toEqual(['read 4096']);
  });

  it('stops at a write and at a read beyond the end', () => {
    expect(heardOf([READ, WRITE, READ].map((opcode) => ({ opcode, slba: 8 })))).toEqual([
      'hint 4096 4096',
      'read 4096',
      'read 4096',
    ]);
    const beyond = [0, BLOCKS - 7, 0].map((slba) => ({ opcode: READ, slba }));
    expect(heardOf(beyond)).toEqual(['hint 0 4096', 'read 0', 'read 0']);
  });
});
