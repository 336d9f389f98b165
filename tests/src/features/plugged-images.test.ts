/** A controller that is plugged into a running machine with an image as its medium. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMachine } from '@nvme-stack/machine/node';
import { afterAll, beforeAll, expect, it } from 'vitest';

let folder = '';
let image = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nvme-stack-plugged-'));
  image = join(folder, 'disk.img');
  writeFileSync(
    image,
    new Uint8Array(1 << 20).map((_, i) => (i * 7) >> 5),
  );
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('has the size and the bytes of its image, and writes to it', async () => {
  const machine = await createMachine();
  await machine.modprobe('nvme');
  await machine.plug({ namespaces: [{ file: image }] });
  const disk = machine.disk('nvme1n1');
  expect(disk.sizeBytes).toBe(1 << 20);
  expect(Buffer.compare(await disk.read(0, 1 << 20), readFileSync(image))).toBe(0);
  await disk.write(4096, new Uint8Array(512).fill(0xa5));
  machine.close();
  expect(readFileSync(image).subarray(4095, 4609)).toEqual(
    Buffer.concat([Buffer.from([(4095 * 7) >> 5]), Buffer.alloc(512, 0xa5), Buffer.from([(4608 * 7) >> 5])]),
  );
});

it('is refused without an image that can be read', async () => {
  const machine = await createMachine();
  await expect(machine.plug({ namespaces: [{ file: join(folder, 'none.img') }] })).rejects.toThrow(/namespace file is/);
  machine.close();
});
