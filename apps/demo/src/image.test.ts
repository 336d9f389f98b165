/** Images made by sfdisk and mkfs.ext4, seen through the stack. Skipped, with the reason, where these are missing. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMachine } from '@nvme-stack/machine/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { demo } from './harness.js';

const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;
const tool = (name: string, args: readonly string[], input?: string): string =>
  execFileSync(name, args, {
    encoding: 'utf8',
    env: { ...process.env, PATH },
    input,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
const missing = ['sfdisk', 'mkfs.ext4', 'debugfs', 'sha256sum'].filter(
  (name) => spawnSync(name, ['--version'], { env: { ...process.env, PATH } }).error !== undefined,
);

const MIB = 1 << 20;
const FIRST_SECTOR = 2048;
const HELLO = 'Read through submit_bio, nvme_queue_rqs and a doorbell.\n';
const NOISE = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31 + (i >> 7)) & 0xff);

let folder = '';
const path = (name: string): string => join(folder, name);
const sha256 = (name: string): string =>
  createHash('sha256')
    .update(readFileSync(path(name)))
    .digest('hex');

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nvme-stack-image-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('--disk without any tool', () => {
  beforeAll(() => {
    writeFileSync(path('plain.img'), NOISE.subarray(0, 299_520 - (299_520 % 512)));
  });

  it('reads every byte through the stack, and prints the hash as sha256sum does', async () => {
    const { code, out } = await demo(['--disk', 'plain.img'], { cwd: folder });
    expect(code).toBe(0);
    expect(out.split('\n')).toContain(`${sha256('plain.img')}  plain.img`);
    expect(out).toContain('Equal to the SHA-256 of the file.');
    expect(out).toContain('Left behind: nothing.');
    expect(out).not.toContain('Write, flush, read back');
    const { image } = JSON.parse((await demo(['--disk', 'plain.img', '--json'], { cwd: folder })).out);
    expect(image).toMatchObject({ disk: 'nvme0n1', requests: 3, sizeBytes: 299_520 });
    expect(image.sha256).toBe(sha256('plain.img'));
  });

  it('finds the path from where the caller stands, or as it is', async () => {
    expect((await demo(['--disk', path('plain.img'), '--quiet'])).code).toBe(0);
    expect((await demo(['--disk', 'plain.img', '--quiet'])).code).toBe(2);
  });

  it('prints the hash and the result with --quiet, and nothing else', async () => {
    const { out } = await demo(['--disk', 'plain.img', '--quiet'], { cwd: folder });
    expect(out).toBe(`${sha256('plain.img')}  plain.img\nnvme0 live; image equal to its file; nothing left behind.\n`);
  });

  it('leaves the image as it was, and with --writable too, where it is written to and read back', async () => {
    const before = sha256('plain.img');
    const { out } = await demo(['--disk', 'plain.img', '--writable'], { cwd: folder });
    expect(out).toContain('nvme_cmd_write');
    expect(out).toContain('Verified: all 4096 bytes read back are the bytes written.');
    expect(sha256('plain.img')).toBe(before);
  });

  it('has a read-only disk unless told otherwise', async () => {
    const disk = async (...more: string[]) =>
      JSON.parse((await demo(['--disk', 'plain.img', '--json', ...more], { cwd: folder })).out).disks[0];
    expect(await disk()).toMatchObject({ name: 'nvme0n1', readOnly: true, onImage: true });
    expect(await disk('--writable')).toMatchObject({ readOnly: false, onImage: true });
  });

  it('opens images of a described machine read-only too, from where the caller stands', async () => {
    writeFileSync(path('machine.yaml'), 'nvme:\n  - namespaces:\n      - file: plain.img\n');
    const before = sha256('plain.img');
    const { code, out } = await demo(['--machine', 'machine.yaml'], { cwd: folder });
    expect(code).toBe(0);
    expect(out).toContain('the disk is read-only, so nothing was written');
    expect(out).toContain('random 4 KiB reads on nvme0n1');
    const writable = await demo(['--machine', 'machine.yaml', '--writable'], { cwd: folder });
    expect(writable.out).toContain('Verified: all 4096 bytes');
    expect(writable.out).toContain('random 4 KiB reads on nvme0n1');
    expect(sha256('plain.img')).toBe(before);
  });

  it('reads an image larger than the memory of its machine', async () => {
    writeFileSync(path('large.img'), NOISE);
    truncateSync(path('large.img'), 80 * MIB);
    const { code, out } = await demo(['--disk', 'large.img', '--quiet'], { cwd: folder });
    expect(code).toBe(0);
    expect(out.split('\n')[0]).toBe(`${sha256('large.img')}  large.img`);
  });

  it('draws how far it is on a terminal', async () => {
    const { drawn } = await demo(['--disk', 'large.img'], { cwd: folder, columns: 80 });
    expect(drawn.some((text) => /Reading nvme0n1 {2}█+░+ +\d+ %/.test(text))).toBe(true);
    expect(drawn.at(-1)).toBe('\r\u001b[K');
  });
});

describe.skipIf(missing.length > 0)(
  `an image of sfdisk and mkfs.ext4${missing.length > 0 ? ` (skipped: ${missing.join(', ')} not installed)` : ''}`,
  () => {
    beforeAll(() => {
      mkdirSync(path('files'));
      writeFileSync(path('files/hello.txt'), HELLO);
      writeFileSync(path('files/noise.bin'), NOISE);
      writeFileSync(path('disk.img'), '');
      truncateSync(path('disk.img'), 96 * MIB);
      tool('sfdisk', ['-q', path('disk.img')], 'label: gpt\nsize=32MiB\nsize=48MiB\n');
      const offset = `offset=${FIRST_SECTOR * 512}`;
      tool('mkfs.ext4', ['-q', '-F', '-L', 'photos', '-d', path('files'), '-E', offset, path('disk.img'), '32M']);
    });

    it('has partitions, the file system of each, and the hash of sha256sum', async () => {
      const { code, out } = await demo(['--disk', 'disk.img'], { cwd: folder });
      expect(code).toBe(0);
      expect(out).toMatch(/^ {2}nvme0n1 +0 {2}96 MiB {2}- /m);
      expect(out).toMatch(/^ {2}nvme0n1p1 +2048 {2}32 MiB {2}ext4 +photos +[0-9a-f]{8}-[0-9a-f-]{27}$/m);
      expect(out).toMatch(/^ {2}nvme0n1p2 +67584 {2}48 MiB {2}- /m);
      expect(out).toContain('nvme0n1: p1 p2');
      const [line = ''] = spawnSync('sha256sum', ['disk.img'], { cwd: folder, encoding: 'utf8' }).stdout.split('\n');
      expect(line).toMatch(/^[0-9a-f]{64} {2}disk\.img$/);
      expect(out.split('\n')).toContain(line);
    });

    it('has the superblock and the content of files where ext4 put them', async () => {
      await using machine = await createMachine({
        nvme: [{ namespaces: [{ file: path('disk.img'), readOnly: true }] }],
      });
      await machine.modprobe('nvme');
      const partition = machine.disk('nvme0n1p1');
      const superblock = new DataView((await partition.read(1024, 1024)).buffer);
      expect(superblock.getUint16(0x38, true)).toBe(0xef53);
      const blockBytes = 1024 << superblock.getUint32(0x18, true);
      const image = `${path('disk.img')}?offset=${FIRST_SECTOR * 512}`;
      const content = async (name: string): Promise<Uint8Array> => {
        const blocks = tool('debugfs', ['-R', `blocks /${name}`, image])
          .trim()
          .split(/\s+/)
          .map(Number);
        const read = await Promise.all(blocks.map((block) => partition.read(block * blockBytes, blockBytes)));
        return new Uint8Array(Buffer.concat(read)).subarray(0, statSync(path(`files/${name}`)).size);
      };
      expect(new TextDecoder().decode(await content('hello.txt'))).toBe(HELLO);
      expect(await content('noise.bin')).toEqual(NOISE);
      await machine.rmmod('nvme');
      await machine.rmmod('nvme_core');
      expect(machine.leaks()).toEqual([]);
    });

    it('knows a table of MBR and logical partitions', async () => {
      writeFileSync(path('mbr.img'), '');
      truncateSync(path('mbr.img'), 16 * MIB);
      tool('sfdisk', ['-q', path('mbr.img')], 'label: dos\nsize=4MiB\ntype=5,size=8MiB\nsize=2MiB\n');
      const { disks } = JSON.parse((await demo(['--disk', 'mbr.img', '--json'], { cwd: folder })).out);
      const names = disks[0].partitions.map(({ name }: { name: string }) => name);
      expect(names).toContain('nvme0n1p1');
      expect(names.length).toBeGreaterThanOrEqual(3);
    });
  },
);
