// The image file store keeps the contract, beyond 4 GiB too.
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FileBlockStore } from './node.js';
import { BLOCK_STORE_READ_ONLY } from './ports.js';
import { blockStoreContract } from './testing.js';

const directory = mkdtempSync(join(tmpdir(), 'block-store-'));
const stores: FileBlockStore[] = [];
let images = 0;
function newImage(sizeBytes: number, readOnly = false): FileBlockStore {
  const path = join(directory, `image-${images++}`);
  writeFileSync(path, '');
  truncateSync(path, sizeBytes);
  const store = new FileBlockStore(path, { readOnly });
  stores.push(store);
  return store;
}
afterAll(() => {
  for (const store of stores) store.close();
  rmSync(directory, { recursive: true });
});

blockStoreContract({ describe, it, expect }, 'image file', () => newImage(2 ** 33));

describe('a read-only image', () => {
  it('refuses writes', () => {
    let status = -1;
    const client = { piece: () => 0, done: (result: number) => (status = result) };
    newImage(1 << 20, true).write(0, 512, client);
    expect(status).toBe(BLOCK_STORE_READ_ONLY);
  });
});
