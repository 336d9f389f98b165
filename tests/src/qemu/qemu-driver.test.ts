/** Our driver, QEMU's controller: the machine with its platform replaced by a running QEMU. */
import { createMachine, type Machine } from '@nvme-stack/machine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pattern } from '../determinism/scenario.js';
import { createQemuPlatform } from './qemu-platform.js';
import { type QemuProcess, qemuMissing, startQemu } from './qemu-process.js';

const missing = qemuMissing();
if (missing !== null) console.log(`skipped: ${missing}`);

const SERIAL = 'nvme-stack-driver';
const DISK_BYTES = 16 << 20;
const KIB = 1024;
const TIMEOUT_MS = 60_000;

describe.skipIf(missing !== null)('our driver with QEMU’s controller', () => {
  let qemu: QemuProcess;
  let machine: Machine;

  beforeAll(async () => {
    qemu = await startQemu(SERIAL, DISK_BYTES);
    machine = await createMachine(
      { cpus: 2, memoryMiB: 32, nvme: [] },
      { parts: { platform: createQemuPlatform(qemu) } },
    );
  }, TIMEOUT_MS);

  afterAll(() => qemu?.stop());

  it(
    'finds the disk',
    async () => {
      await machine.modprobe('nvme');
      expect(machine.sysfs.read('/sys/class/nvme/nvme0/serial').trim()).toBe(SERIAL);
      expect(machine.sysfs.read('/sys/class/nvme/nvme0/model').trim()).toBe('QEMU NVMe Ctrl');
      expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
      expect(machine.disk('nvme0n1').sizeBytes).toBe(DISK_BYTES);
      expect(machine.procfs.read('/proc/interrupts')).toMatch(/PCI-MSIX-0000:00:01.0 +1-edge +nvme0q1/);
    },
    TIMEOUT_MS,
  );

  it(
    'writes and reads, also what takes PRP lists and several commands',
    async () => {
      const disk = machine.disk('nvme0n1');
      await disk.write(4 * KIB, pattern(4 * KIB, 3 * KIB, 1));
      await disk.write(KIB * KIB, pattern(KIB * KIB, 600 * KIB, 2));
      await disk.flush();
      expect(await disk.read(4 * KIB, 3 * KIB)).toEqual(pattern(4 * KIB, 3 * KIB, 1));
      expect(await disk.read(KIB * KIB, 600 * KIB)).toEqual(pattern(KIB * KIB, 600 * KIB, 2));
    },
    TIMEOUT_MS,
  );

  it(
    'resets the controller and reads on',
    async () => {
      await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
      expect(await machine.disk('nvme0n1').read(4 * KIB, 3 * KIB)).toEqual(pattern(4 * KIB, 3 * KIB, 1));
      expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    },
    TIMEOUT_MS,
  );

  it(
    'leaves nothing behind',
    async () => {
      await machine.rmmod('nvme');
      await machine.rmmod('nvme_core');
      expect(machine.leaks()).toEqual([]);
      expect(machine.dmesg().join('\n')).not.toMatch(/timeout|WARN|BUG/);
    },
    TIMEOUT_MS,
  );
});
