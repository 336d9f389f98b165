/** What the demo verifies is found to be wrong when it is. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMachine, type Machine } from '@nvme-stack/machine';
import { afterAll, expect, it } from 'vitest';
import { readImage } from './image.js';
import { loadPhase } from './load-phase.js';
import { load, unload } from './session.js';
import { transfers } from './transfers.js';

const folder = mkdtempSync(join(tmpdir(), 'nvme-stack-verify-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Parts = NonNullable<NonNullable<Parameters<typeof createMachine>[1]>['parts']>;
type Store = NonNullable<ReturnType<NonNullable<Parts['blockStore']>>>;
type Client = Parameters<Store['read']>[2];

/** A medium that takes what is written and gives something else. */
class Forgetful implements Store {
  readonly sizeBytes = 1 << 20;
  readonly readOnly = false;

  read(_offset: number, length: number, client: Client): void {
    client.piece(new Uint8Array(length).fill(0x5a), 0, length);
    client.done(0);
  }
  write(_offset: number, length: number, client: Client): void {
    client.piece(new Uint8Array(length), 0, length);
    client.done(0);
  }
  flush(client: Client): void {
    client.done(0);
  }
  discard(_offset: number, _length: number, client: Client): void {
    client.done(0);
  }
  writeZeroes(_offset: number, _length: number, client: Client): void {
    client.done(0);
  }
}

async function forgetful(): Promise<{ machine: Machine; disk: Awaited<ReturnType<typeof load>>['disks'][number] }> {
  const machine = await createMachine(
    { cpus: 2, nvme: [{ namespaces: [{ sizeMiB: 1 }] }] },
    { parts: { blockStore: () => new Forgetful() } },
  );
  const { disks } = await load(machine);
  const [disk] = disks;
  if (disk === undefined) throw new Error('there is no disk');
  return { machine, disk };
}

it('a read that gives other bytes than were written', async () => {
  const { machine, disk } = await forgetful();
  expect((await transfers(machine, disk)).map(({ verified }) => verified)).toEqual([false, false, false]);
});

it('reads of the load phase that give other bytes than were written', async () => {
  const { machine, disk } = await forgetful();
  const { checked, wrong } = await loadPhase(machine, disk, 1000, () => {});
  expect(checked).toBeGreaterThan(10);
  expect(wrong).toBe(checked);
});

it('an image of which the stack gives other bytes than its file has', async () => {
  const { machine, disk } = await forgetful();
  const path = join(folder, 'zeroes.img');
  writeFileSync(path, new Uint8Array(1 << 20));
  const { sha256, fileSha256 } = await readImage(machine, disk, path, () => {});
  expect(sha256).not.toBe(fileSha256);
});

it('what is left behind, by kind and name', async () => {
  const { machine } = await forgetful();
  machine.subsystems.kernel.live.add('mappings', 'forgotten', 2);
  const { leaks, held } = await unload(machine);
  expect(leaks).toEqual([{ kind: 'mappings', name: 'forgotten', count: 2 }]);
  expect(held.length).toBeGreaterThan(3);
});
