import { describe, expect, it } from 'vitest';
import { ALL, leftBehind, machineOf, running, state } from './bench.js';

/** Bytes that tell their own place. */
function pattern(length: number, salt: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + Math.floor(i / 251) + salt) & 0xff);
}

describe.each(ALL)('on %s', (profile) => {
  it.each([
    { cpus: 1, interleave: false, checks: 'full' },
    { cpus: 4, interleave: false, checks: 'full' },
    { cpus: 3, interleave: true, checks: 'full', seed: 7 },
    { cpus: 4, interleave: true, checks: 'off', seed: 11, trace: 'off' },
  ] as const)('data comes back as it was written, over a reset, and nothing is left behind: %j', async (more) => {
    const machine = await running(profile, more);
    expect(state(machine)).toBe('live');
    const disk = machine.disk('nvme0n1');
    const sizes = [512, 4096, 12288, 65536, 524288];
    const write = (salt: number): Promise<unknown> =>
      Promise.all(sizes.map((size, i) => disk.write(i << 20, pattern(size, salt + i))));
    const check = async (salt: number): Promise<void> => {
      for (const [i, size] of sizes.entries()) {
        expect(Buffer.compare(await disk.read(i << 20, size), pattern(size, salt + i))).toBe(0);
      }
    };
    await write(1);
    await disk.flush();
    await check(1);
    const going = write(2);
    await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    await going;
    await machine.settle();
    expect(state(machine)).toBe('live');
    await check(2);
    await disk.discard(0, 1 << 20);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('is the same run when it is done again', async () => {
    const once = async (): Promise<string> => {
      const machine = await running(profile, { seed: 3, interleave: true });
      await machine.disk('nvme0n1').write(4096, pattern(8192, 3));
      await machine.rmmod('nvme');
      return machine.trace.hash();
    };
    expect(await once()).toBe(await once());
  });

  it('does the same whether it is traced, hashed or neither', async () => {
    const outcome = async (trace: 'full' | 'hash' | 'off'): Promise<unknown> => {
      const machine = await running(profile, { trace, seed: 5, cpus: 3 });
      const disk = machine.disk('nvme0n1');
      await Promise.all([1, 2, 3, 4].map((i) => disk.write(i << 18, pattern(16384 * i, i))));
      const bytes = await disk.read(1 << 18, 32768);
      await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
      await machine.settle();
      return {
        nowNs: machine.nowNs,
        bytes: Buffer.from(bytes).toString('base64'),
        dmesg: machine.dmesg(),
        interrupts: machine.procfs.read('/proc/interrupts'),
        queues: machine.queues('nvme0'),
        hash: trace === 'off' ? null : machine.trace.hash(),
      };
    };
    const full = (await outcome('full')) as Record<string, unknown>;
    expect(await outcome('hash')).toEqual(full);
    expect(await outcome('off')).toEqual({ ...full, hash: null });
  });

  it('binds, unbinds and binds again', async () => {
    const machine = await running(profile, { trace: 'off' });
    await machine.disk('nvme0n1').write(0, pattern(4096, 9));
    await machine.sysfs.write('/sys/bus/pci/drivers/nvme/unbind', '0000:00:03.0');
    expect(machine.sysfs.exists('/sys/class/nvme/nvme0')).toBe(false);
    await machine.sysfs.write('/sys/bus/pci/drivers/nvme/bind', '0000:00:03.0');
    await machine.settle();
    expect(Buffer.compare(await machine.disk('nvme0n1').read(0, 4096), pattern(4096, 9))).toBe(0);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('survives a controller that is pulled under I/O', async () => {
    const machine = await running(profile, { trace: 'off' });
    const disk = machine.disk('nvme0n1');
    const ended = Promise.allSettled(Array.from({ length: 16 }, (_, i) => disk.write(i * 8192, pattern(8192, i))));
    await machine.device('0000:00:03.0').unplug();
    await ended;
    await machine.settle();
    expect(machine.sysfs.exists('/sys/class/nvme/nvme0')).toBe(false);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('refuses nothing that the description allows, and says which profiles there are', async () => {
    await expect(machineOf(profile)).resolves.toBeDefined();
    await expect(machineOf('5.4' as never)).rejects.toThrow(
      'machine.profile is "5.4"; allowed: "6.12", "6.1", "4.13", "4.10"',
    );
  });
});
