/** Journals as JSON, and their replay. */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createMachine,
  journalFromJson,
  journalToJson,
  type Machine,
  NVME_IOCTL_ADMIN_CMD,
  replay,
} from '@nvme-stack/machine';
import { createMachine as createInNode, replay as replayInNode } from '@nvme-stack/machine/node';
import { afterEach, describe, expect, it } from 'vitest';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

async function session(machine: Machine): Promise<void> {
  await machine.modprobe('nvme', { poll_queues: 1 });
  const disk = machine.disk('nvme0n1');
  await disk.write(4096, new Uint8Array(4096).fill(0x5a));
  await disk.write(
    8192,
    Uint8Array.from({ length: 512 }, (_, at) => (at * 7) & 0xff),
  );
  const data = new Uint8Array(4096);
  await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 6, cdw10: 1, data });
  await machine.device('0000:00:03.0').faults.add({ kind: 'media-error', command: 'read', nth: 1 });
  await disk.read(4096, 4096).catch(() => {});
  await machine.run(1e6);
}

describe('a journal as JSON', () => {
  it('repeats the run, entry for entry', async () => {
    const machine = await createMachine({ cpus: 2, nvme: [{ namespaces: [{ sizeMiB: 1 }] }] });
    await session(machine);
    const text = JSON.stringify(journalToJson(machine.journal()));
    expect(text).toContain('{"$fill":90,"$length":4096}');
    const journal = journalFromJson(JSON.parse(text));
    expect(journal).toEqual(machine.journal());
    const again = await replay(journal);
    expect([again.trace.hash(), again.trace.entries.length]).toEqual([
      machine.trace.hash(),
      machine.trace.entries.length,
    ]);
    expect(await again.disk('nvme0n1').read(8192, 512)).toEqual(await machine.disk('nvme0n1').read(8192, 512));
  });

  it('says which argument cannot be written: a module of one’s own', async () => {
    const machine = await createMachine();
    await machine
      .insmod({ name: 'own', depends: [], init: async () => {}, exit: async () => {} } as never)
      .catch(() => {});
    expect(() => journalToJson(machine.journal())).toThrow(
      'journal.calls[0] (insmod).args[0].init is a function; allowed: what JSON holds, and bytes',
    );
  });

  it.each<[unknown, string]>([
    [[], 'journal is []; allowed: an object'],
    [{ schemaVersion: 2 }, 'journal.schemaVersion is 2; allowed: 1'],
    [{ schemaVersion: 1, description: {}, calls: {} }, 'journal.calls is {}; allowed: a list'],
    [
      { schemaVersion: 1, description: {}, calls: [], extra: 1 },
      'journal.extra is not known; allowed are schemaVersion',
    ],
    [
      { schemaVersion: 1, description: {}, calls: [{ items: -1, timeNs: 0, method: 'run', args: [] }] },
      'journal.calls[0].items is -1; allowed: a whole number from 0',
    ],
    [
      { schemaVersion: 1, description: {}, calls: [{ items: 1, timeNs: 0, method: 'run', args: [{ $bytes: 'a' }] }] },
      'journal.calls[0].args[0].$bytes is "a"; allowed: base64',
    ],
  ])('is refused with one sentence: %j', (json, sentence) => {
    expect(() => journalFromJson(json)).toThrow(sentence);
  });

  it.each([0, 1, 2, 3, 4, 255, 256, 20_000])('holds %i bytes as they are', (length) => {
    const bytes = Uint8Array.from({ length }, (_, at) => (at * 37 + (at >>> 8)) & 0xff);
    const calls = [{ items: 1, timeNs: 0, method: 'disk.write', args: ['nvme0n1', 0, bytes] }];
    const json = journalToJson({ description: {}, calls });
    expect(json.calls[0]?.args[2]).toEqual({ $bytes: Buffer.from(bytes).toString('base64') });
    expect(journalFromJson(json).calls).toEqual(calls);
  });
});

describe('replay in Node', () => {
  it('has the images that the run had', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'journal-'));
    folders.push(folder);
    const file = join(folder, 'disk.img');
    const copy = join(folder, 'copy.img');
    writeFileSync(file, new Uint8Array(1 << 20).fill(3));
    copyFileSync(file, copy);
    const machine = await createInNode({ nvme: [{ namespaces: [{ file }] }] });
    await session(machine);
    const hash = machine.trace.hash();
    const journal = journalFromJson(JSON.parse(JSON.stringify(journalToJson(machine.journal()))));
    machine.close();
    copyFileSync(copy, file);
    const again = await replayInNode(journal);
    expect(again.trace.hash()).toBe(hash);
    expect((await again.disk('nvme0n1').read(0, 512))[0]).toBe(3);
    again.close();
  });

  it('refuses a run on QEMU', async () => {
    const journal = { description: { platform: 'qemu' }, calls: [] } as const;
    await expect(replayInNode(journal)).rejects.toThrow('journal.description.platform is "qemu"; allowed: "sim"');
  });
});
