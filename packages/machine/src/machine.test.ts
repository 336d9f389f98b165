import { BLK_STS_OK, REQ_OP_READ } from '@nvme-stack/blk-mq/ports';
import { NVME_IOCTL_ADMIN_CMD } from '@nvme-stack/nvme-core/ports';
import { describe, expect, it } from 'vitest';
import { createMachine } from './index.js';

const KIB = 1024;

/** Bytes that tell their own place. */
function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + Math.floor(i / 251)) & 0xff);
}

/** The index of the first byte that differs, or -1; quicker than comparing typed arrays by the test runner. */
function firstDifference(left: Uint8Array, right: Uint8Array): number {
  if (left.length !== right.length) return Math.min(left.length, right.length);
  return left.findIndex((byte, i) => byte !== right[i]);
}

describe('a machine', () => {
  it('goes from insmod to I/O and leaves nothing behind', async () => {
    const machine = await createMachine({ nvme: [{ namespaces: [{ sizeMiB: 16 }] }] });
    await machine.modprobe('nvme');
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    const disk = machine.disk('nvme0n1');
    const data = pattern(64 * KIB);
    await disk.write(8 * KIB, data);
    await disk.flush();
    expect(firstDifference(await disk.read(8 * KIB, data.length), data)).toBe(-1);
    await disk.discard(8 * KIB, 4 * KIB);
    await disk.writeZeroes(12 * KIB, 4 * KIB);
    expect(firstDifference(await disk.read(8 * KIB, 8 * KIB), new Uint8Array(8 * KIB))).toBe(-1);
    await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    await machine.settle();
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    expect((await disk.read(16 * KIB, 512)).length).toBe(512);
    await machine.rmmod('nvme');
    await machine.rmmod('nvme_core');
    expect(machine.leaks()).toEqual([]);
    expect(machine.dmesg().join('\n')).not.toMatch(/warn|bug|\bfault/i);
  });

  it('moves more data than one bio carries', async () => {
    const machine = await createMachine({ nvme: [{ namespaces: [{ sizeMiB: 16 }] }] });
    await machine.modprobe('nvme');
    const disk = machine.disk('nvme0n1');
    const data = pattern(5 * KIB * KIB);
    await disk.write(4 * KIB, data);
    expect(firstDifference(await disk.read(4 * KIB, data.length), data)).toBe(-1);
  });

  // @acceptance 6
  it('loads, unloads and loads again', async () => {
    const machine = await createMachine();
    for (let round = 0; round < 3; round++) {
      await machine.modprobe('nvme');
      expect(machine.disk('nvme0n1').sizeBytes).toBe(64 << 20);
      await machine.rmmod('nvme');
      expect(() => machine.disk('nvme0n1')).toThrow('there is no disk nvme0n1');
    }
    await machine.rmmod('nvme_core');
    expect(machine.leaks()).toEqual([]);
  });

  it.each([
    [{ cpus: 0 }, 'machine.cpus is 0; allowed: a whole number from 1 to 64'],
    [{ profile: '5.15' }, 'machine.profile is "5.15"; allowed: "6.12"'],
    [{ colour: 'red' }, 'machine.colour is not known; allowed are profile'],
    [
      { nvme: [{ namespaces: [{ sizeMiB: -1 }] }] },
      'machine.nvme[0].namespaces[0].sizeMiB is -1; allowed: a whole number',
    ],
    [{ cpus: 2, numaNodes: 4 }, 'machine.numaNodes is 4; allowed is at most the number of CPUs, 2'],
    [{ nvme: [{ namespaces: [{ file: 'disk.img' }] }] }, 'needs the entry point @nvme-stack/machine/node'],
  ])('refuses %j with one sentence', async (description, sentence) => {
    await expect(createMachine(description as never)).rejects.toThrow(sentence);
  });
});

describe('the front door', () => {
  it('lets time pass, steps item by item, and refuses calls once it is closed', async () => {
    const machine = await createMachine();
    const startNs = machine.nowNs;
    await machine.run(5_000_000);
    expect(machine.nowNs - startNs).toBeGreaterThanOrEqual(5_000_000);
    const load = machine.modprobe('nvme');
    const { ex } = machine.subsystems.kernel;
    const { items } = ex;
    expect(await machine.step()).toBe(true);
    expect(ex.items).toBe(items + 1);
    await machine.run(0);
    await load;
    machine.close();
    await expect(machine.modprobe('nvme')).rejects.toThrow('the machine is closed');
  });

  it('reaches the admin queue by ioctl, and moves a buffer of its user’s by submitBio', async () => {
    const machine = await createMachine();
    await machine.modprobe('nvme');
    const identify = { opcode: 0x06, nsid: 0, cdw10: 1, data: new Uint8Array(4096), timeoutMs: 0, result: 0 };
    expect(await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, identify)).toBe(0);
    expect(String.fromCharCode(...identify.data.subarray(24, 38))).toBe('QEMU NVMe Ctrl');
    const disk = machine.disk('nvme0n1');
    await disk.write(0, pattern(4 * KIB));
    const buffer = machine.allocBuffer(4 * KIB);
    const bio = machine.allocBio(1);
    const found = machine.subsystems.blkMq.lookup('nvme0n1');
    bio.disk = found?.disk ?? null;
    bio.opf = REQ_OP_READ;
    bio.vcnt = 1;
    bio.vecAddr[0] = buffer.pages[0] as number;
    bio.vecLengthBytes[0] = 4 * KIB;
    bio.sizeBytes = 4 * KIB;
    expect(await machine.submitBio(bio)).toBe(BLK_STS_OK);
    expect(firstDifference(buffer.read(0, 4 * KIB), pattern(4 * KIB))).toBe(-1);
    buffer.free();
  });
});
