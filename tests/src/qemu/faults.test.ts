/** Faults from QEMU's side, through the whole stack: media errors, slowness, a card pulled out, bus mastering, resets. */
import type { MachineDevice } from '@nvme-stack/machine';
import { NVME_IOCTL_ADMIN_CMD } from '@nvme-stack/nvme-core/ports';
import { MEDIUM, type QemuOptions } from '@nvme-stack/platform-qemu/node';
import { describe, expect, it } from 'vitest';
import { KIB, MIB, missing, type OnQemu, oneDisk, pattern, same, withQemu } from './with-qemu.js';

const PORT = 2;
const BDF = '0000:00:01.0';
const COMMAND = 0x04;
const COMMAND_MASTER = 4;

const raw = { driver: 'raw', file: { driver: 'file', filename: MEDIUM } };
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );
const log = ({ machine }: OnQemu): string => machine.dmesg().join('\n');

/** A disk whose medium fails as QEMU's blkdebug is told. */
const failing = (...errors: Readonly<Record<string, unknown>>[]): QemuOptions => ({
  controllers: [
    {
      slot: 1,
      namespaces: [{ sizeBytes: MIB, node: { driver: 'blkdebug', 'inject-error': errors, image: raw } }],
    },
  ],
});

describe.skipIf(missing !== null)('on QEMU', () => {
  it('a block that cannot be read fails that read alone', async () => {
    const options = failing({ event: 'none', iotype: 'read', errno: 5, sector: 512 });
    await withQemu(options, async (on) => {
      await on.machine.modprobe('nvme');
      const disk = on.machine.disk('nvme0n1');
      await disk.write(0, pattern(0, 64 * KIB, 1));
      expect(await codeOf(disk.read(256 * KIB, 4 * KIB))).toBe('ENODATA');
      expect(log(on)).toMatch(/nvme0n1: I\/O Cmd\(0x2\) @ LBA 512, 8 blocks, I\/O Error \(sct 0x2 \/ sc 0x81\)/);
      expect(log(on)).toMatch(/critical medium error, dev nvme0n1, sector 512 op 0x0:\(READ\)/);
      expect(same(await disk.read(0, 64 * KIB), pattern(0, 64 * KIB, 1))).toBe(true);
      await on.machine.rmmod('nvme');
    });
  });

  it('a write that finds no space fails as a write fault', async () => {
    const options = failing({ event: 'none', iotype: 'write', errno: 28, sector: 16 });
    await withQemu(options, async (on) => {
      await on.machine.modprobe('nvme');
      const disk = on.machine.disk('nvme0n1');
      expect(await codeOf(disk.write(8 * KIB, new Uint8Array(KIB)))).toBe('ENODATA');
      expect(log(on)).toMatch(/I\/O Error \(sct 0x2 \/ sc 0x80\)/);
      await disk.write(32 * KIB, new Uint8Array(KIB));
      await on.machine.rmmod('nvme');
    });
  });

  it('a command slower than the time-out is aborted in vain, and completes', async () => {
    const options: QemuOptions = {
      controllers: [{ slot: 1, namespaces: [{ node: { driver: 'null-co', size: MIB, 'latency-ns': 1_300_000_000 } }] }],
    };
    await withQemu(options, async (on) => {
      await on.machine.modprobe('nvme');
      await on.machine.sysfs.write('/sys/block/nvme0n1/queue/io_timeout', '500');
      await on.machine.disk('nvme0n1').read(0, 4 * KIB);
      expect(log(on)).toMatch(/I\/O tag \d+ \(.*\) QID \d+ timeout, aborting/);
      expect(log(on)).toMatch(/Abort status: 0x0/);
      expect(log(on)).not.toMatch(/reset controller/);
    });
  });

  it('a command that is far too slow has the controller reset, and is done again', async () => {
    const node = { driver: 'throttle', 'throttle-group': 'group', file: raw };
    const options: QemuOptions = {
      controllers: [{ slot: 1, namespaces: [{ sizeBytes: MIB, node }] }],
      arguments: ['-object', 'throttle-group,id=group'],
    };
    await withQemu(options, async (on) => {
      const { machine, qemu } = on;
      await machine.modprobe('nvme');
      const disk = machine.disk('nvme0n1');
      await disk.write(0, pattern(0, 64 * KIB, 5));
      await machine.sysfs.write('/sys/block/nvme0n1/queue/io_timeout', '500');
      const limits = (bps: number): unknown =>
        qemu.monitor.execute('qom-set', { path: '/objects/group', property: 'limits', value: { 'bps-total': bps } });
      limits(4096);
      // What a bucket holds goes at once; the next one waits for it to run dry.
      await disk.read(64 * KIB, 16 * KIB);
      const read = disk.read(0, 64 * KIB);
      await machine.run(2.6e9);
      limits(0);
      expect(same(await read, pattern(0, 64 * KIB, 5))).toBe(true);
      expect(log(on)).toMatch(/timeout, aborting/);
      expect(log(on)).toMatch(/timeout, reset controller/);
      await machine.settle();
      expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    });
  });

  it('a card that is pulled out of its slot fails what it had, and another one takes its place', async () => {
    const slow = { driver: 'null-co', size: 4 * MIB, 'latency-ns': 100_000_000 };
    const options: QemuOptions = {
      controllers: [{ slot: PORT, behindPort: true, serial: 'first', namespaces: [{ node: slow }] }],
      arguments: ['-blockdev', JSON.stringify({ driver: 'null-co', 'node-name': 'spare', size: 8 * MIB })],
    };
    await withQemu(options, async (on) => {
      const { machine } = on;
      await machine.modprobe('nvme');
      const disk = machine.disk('nvme0n1');
      const reads = Array.from({ length: 16 }, (_, n) => codeOf(disk.read(n * 64 * KIB, 64 * KIB)));
      const card = machine.slot(`port${PORT}`).device as MachineDevice;
      expect(card.bdf).toBe('0000:01:00.0');
      await machine.device(card.bdf).unplug();
      const codes = await Promise.all(reads);
      expect(codes.filter((code) => code !== 'none' && code !== 'EIO' && code !== 'ENODEV')).toEqual([]);
      expect(codes).toContain('EIO');
      await machine.settle();
      expect(() => machine.disk('nvme0n1')).toThrow('there is no disk nvme0n1');
      expect(machine.sysfs.exists('/sys/class/nvme/nvme0')).toBe(false);
      await expect(machine.plug({ serial: 'second' })).rejects.toThrow('machine.plug.port is missing');
      const next = await machine.plug({ port: `port${PORT}`, serial: 'second', properties: { drive: 'spare' } });
      expect(next.bdf).toBe('0000:01:00.0');
      await machine.settle();
      expect(machine.sysfs.read('/sys/class/nvme/nvme0/serial').trim()).toBe('second');
      expect(machine.disk('nvme0n1').sizeBytes).toBe(8 * MIB);
      await machine.disk('nvme0n1').read(0, 4 * KIB);
      await machine.rmmod('nvme');
      await machine.rmmod('nvme_core');
      expect(machine.leaks()).toEqual([]);
    });
  });

  it('without bus mastering the controller dies, and a reset brings it back', async () => {
    await withQemu(oneDisk(), async (on) => {
      const { machine } = on;
      await machine.modprobe('nvme');
      const disk = machine.disk('nvme0n1');
      await disk.write(0, pattern(0, 4 * KIB, 9));
      await machine.sysfs.write('/sys/block/nvme0n1/queue/io_timeout', '500');
      await machine.task('hand', async ({ pciBus }) => {
        const pdev = pciBus.pciGetDevice(BDF) as NonNullable<ReturnType<typeof pciBus.pciGetDevice>>;
        const command = pciBus.pciReadConfigWord(pdev, COMMAND);
        pciBus.pciWriteConfigWord(pdev, COMMAND, command & ~COMMAND_MASTER);
      });
      expect(same(await disk.read(0, 4 * KIB), pattern(0, 4 * KIB, 9))).toBe(true);
      expect(log(on)).toMatch(/controller is down; will reset: CSTS=0x2/);
      await machine.settle();
      expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
      await machine.rmmod('nvme');
    });
  });

  it('a function level reset loses nothing', async () => {
    await withQemu(oneDisk(), async (on) => {
      const { machine } = on;
      await machine.modprobe('nvme');
      const disk = machine.disk('nvme0n1');
      await disk.write(0, pattern(0, 64 * KIB, 9));
      const reads = Array.from({ length: 8 }, () => disk.read(0, 64 * KIB));
      await machine.sysfs.write(`/sys/bus/pci/devices/${BDF}/reset`, '1');
      for (const read of reads) expect(same(await read, pattern(0, 64 * KIB, 9))).toBe(true);
      await machine.settle();
      expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
      await machine.rmmod('nvme');
      await machine.rmmod('nvme_core');
      expect(machine.leaks()).toEqual([]);
    });
  });

  it('a warning of the controller’s health arrives as an event', async () => {
    await withQemu(oneDisk(), async ({ machine, qemu }) => {
      await machine.modprobe('nvme');
      // Linux asks for no health events by itself.
      const setFeatures = { opcode: 9, nsid: 0, cdw10: 0x0b, cdw11: 0x1ff };
      expect(await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, setFeatures)).toBe(0);
      await machine.settle();
      const path = '/machine/peripheral/nvme0';
      qemu.monitor.execute('qom-set', { path, property: 'smart_critical_warning', value: 4 });
      await machine.settle();
      await machine.settle();
      expect(machine.uevents.map(({ env }) => env).map((env) => env.NVME_AEN)).toContain('0x020001');
      await machine.rmmod('nvme');
    });
  });
});
