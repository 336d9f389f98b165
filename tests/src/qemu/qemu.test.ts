/** Our driver, QEMU's controller: from insmod to rmmod, by messages and by pins, on several CPUs and queues. */
import { createMachine } from '@nvme-stack/machine/node';
import { NVME_IOCTL_ADMIN_CMD } from '@nvme-stack/nvme-core/ports';
import { describe, expect, it } from 'vitest';
import { foldersGo, KIB, MIB, missing, oneDisk, pattern, same, TROUBLE, withQemu } from './with-qemu.js';

describe.skipIf(missing !== null)('our driver on QEMU’s controller', () => {
  it('goes from insmod to rmmod by a description alone', async () => {
    await using machine = await createMachine({
      platform: 'qemu',
      cpus: 4,
      memoryMiB: 32,
      nvme: [{ serial: 'described', namespaces: [{ sizeMiB: 16 }] }],
    });
    await machine.modprobe('nvme');
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/serial').trim()).toBe('described');
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/model').trim()).toBe('QEMU NVMe Ctrl');
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    const disk = machine.disk('nvme0n1');
    expect(disk.sizeBytes).toBe(16 * MIB);
    await disk.write(4 * KIB, pattern(4 * KIB, 3 * KIB, 1));
    await disk.write(MIB, pattern(MIB, 600 * KIB, 2));
    await disk.flush();
    expect(same(await disk.read(4 * KIB, 3 * KIB), pattern(4 * KIB, 3 * KIB, 1))).toBe(true);
    expect(same(await disk.read(MIB, 600 * KIB), pattern(MIB, 600 * KIB, 2))).toBe(true);
    await disk.writeZeroes(MIB, 64 * KIB);
    expect(same(await disk.read(MIB, 64 * KIB), new Uint8Array(64 * KIB))).toBe(true);
    await disk.discard(4 * MIB, MIB);
    await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    expect(same(await disk.read(4 * KIB, 3 * KIB), pattern(4 * KIB, 3 * KIB, 1))).toBe(true);
    await machine.rmmod('nvme');
    await machine.rmmod('nvme_core');
    expect(machine.leaks()).toEqual([]);
    expect(machine.dmesg().join('\n')).not.toMatch(TROUBLE);
  });

  it('enumerates the q35 board', async () => {
    await withQemu(oneDisk(), async ({ machine }) => {
      const { pciBus } = machine.subsystems;
      const ids = pciBus.devices.map(
        ({ dev, vendor, device }) => `${dev.name} ${vendor.toString(16)}:${device.toString(16)}`,
      );
      expect(ids).toEqual([
        '0000:00:00.0 8086:29c0',
        '0000:00:01.0 1b36:10',
        '0000:00:1f.0 8086:2918',
        '0000:00:1f.2 8086:2922',
        '0000:00:1f.3 8086:2930',
      ]);
      const nvme = pciBus.pciGetDevice('0000:00:01.0');
      expect(nvme?.bars[0]).toMatchObject({ sizeBytes: 0x4000, is64Bit: true });
      expect((nvme?.bars[0]?.start ?? 1) % 0x4000).toBe(0);
    });
  });

  it('sets up the admin queue and identifies controller and namespace', async () => {
    await withQemu(oneDisk(), async ({ machine }) => {
      await machine.modprobe('nvme');
      const identify = async (cns: number, nsid: number): Promise<DataView> => {
        const data = new Uint8Array(4096);
        expect(await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 6, nsid, cdw10: cns, data })).toBe(0);
        return new DataView(data.buffer);
      };
      const controller = await identify(1, 0);
      expect([controller.getUint16(0, true), controller.getUint16(2, true)]).toEqual([0x1b36, 0x1af4]);
      expect([controller.getUint8(77), controller.getUint32(516, true)]).toEqual([7, 256]);
      expect((await identify(0, 1)).getUint32(0, true) * 512).toBe(16 * MIB);
    });
  });

  it('uses the queue and the vector of each CPU', async () => {
    await withQemu(
      oneDisk(),
      async ({ machine }) => {
        await machine.modprobe('nvme');
        expect(machine.queues('nvme0').map(({ qid }) => qid)).toEqual([0, 1, 2, 3, 4]);
        const before = countsOf(machine.procfs.read('/proc/interrupts'));
        const buffer = machine.allocBuffer(4 * KIB);
        for (let cpu = 0; cpu < 4; cpu++) {
          await machine.task(
            `reader/${cpu}`,
            async ({ blkMq }) => {
              const bio = machine.allocBio(1);
              bio.disk = blkMq.lookup('nvme0n1')?.disk ?? null;
              bio.vecAddr[0] = buffer.pages[0] as number;
              bio.vecLengthBytes[0] = 4 * KIB;
              bio.vcnt = 1;
              bio.sizeBytes = 4 * KIB;
              for (let n = 0; n < 3; n++) expect(await blkMq.submitBioWait(bio)).toBe(0);
            },
            cpu,
          );
        }
        buffer.free();
        const after = countsOf(machine.procfs.read('/proc/interrupts'));
        for (let queue = 1; queue <= 4; queue++) {
          const gained = (after.get(`nvme0q${queue}`) as number[]).map(
            (count, cpu) => count - ((before.get(`nvme0q${queue}`) as number[])[cpu] as number),
          );
          expect(gained.map((count) => count > 0)).toEqual([1, 2, 3, 4].map((one) => one === queue));
        }
        await machine.rmmod('nvme');
      },
      { cpus: 4 },
    );
  });

  it('runs by pin interrupts where there are no messages', async () => {
    await withQemu(
      oneDisk(),
      async ({ machine }) => {
        await machine.modprobe('nvme');
        expect(machine.procfs.read('/proc/interrupts')).toMatch(/ 21: +\d+ .*IO-APIC +21-fasteoi +nvme0q0, nvme0q1/);
        const disk = machine.disk('nvme0n1');
        for (let n = 0; n < 50; n++) {
          await disk.write(n * 8 * KIB, pattern(n * 8 * KIB, 8 * KIB, n));
          expect(same(await disk.read(n * 8 * KIB, 8 * KIB), pattern(n * 8 * KIB, 8 * KIB, n))).toBe(true);
        }
        await machine.rmmod('nvme');
        await machine.rmmod('nvme_core');
        expect(machine.leaks()).toEqual([]);
        expect(machine.dmesg().join('\n')).not.toMatch(TROUBLE);
      },
      {},
      { msi: false },
    );
  });

  it('keeps many commands in flight, none lost, none twice', async () => {
    await withQemu(oneDisk(), async ({ machine }) => {
      await machine.modprobe('nvme');
      const disk = machine.disk('nvme0n1');
      const offsets = Array.from({ length: 128 }, (_, n) => n * 64 * KIB);
      await Promise.all(offsets.map((offset) => disk.write(offset, pattern(offset, 16 * KIB, 3))));
      const read = await Promise.all(offsets.map((offset) => disk.read(offset, 16 * KIB)));
      expect(read.every((bytes, n) => same(bytes, pattern(offsets[n] as number, 16 * KIB, 3)))).toBe(true);
      await machine.rmmod('nvme');
    });
  });

  it('takes the time that really passes', async () => {
    await withQemu(oneDisk(), async ({ machine }) => {
      const [host, before] = [performance.now(), machine.nowNs];
      await machine.run(50e6);
      const passedMs = performance.now() - host;
      expect((machine.nowNs - before) / 1e6).toBeGreaterThanOrEqual(50);
      expect(passedMs).toBeGreaterThanOrEqual(49);
      expect(Math.abs((machine.nowNs - before) / 1e6 - passedMs)).toBeLessThan(25);
    });
  });

  it('left nothing in /dev/shm', async () => {
    expect(await foldersGo()).toBe(true);
  });
});

/** Interrupts by name: one count per CPU. */
function countsOf(interrupts: string): Map<string, number[]> {
  const rows = interrupts.split('\n').flatMap((line) => {
    const match = /^ *\d+: +((?:\d+ +)+)\S.* (\S+)$/.exec(line);
    return match === null ? [] : [[match[2] as string, (match[1] as string).trim().split(/ +/).map(Number)] as const];
  });
  return new Map(rows);
}
