/** SeaBIOS has an NVMe driver of its own: it boots from our namespace, and a boot sector reads and writes by INT 13h. */
import { existsSync, readFileSync } from 'node:fs';
import { createEmulator } from '@nvme-stack/linux-guest';
import { createNvmeController, MemoryBlockStore } from '@nvme-stack/nvme-controller';
import { attachNvme } from '@nvme-stack/v86-nvme';
import type { BootOrder } from 'v86';
import { describe, expect, it } from 'vitest';
import { bootSector } from './boot-sector.js';

const BIOS = '/usr/share/seabios/bios-256k.bin';
const VGA_BIOS = '/usr/share/seabios/vgabios-stdvga.bin';
const SECTOR_BYTES = 512;
const DISK_BYTES = 1 << 20;
/** v86's enumeration, which its module declares and does not have. */
const HARD_DISK_FIRST = 0x132 as BootOrder;
const TIMEOUT_MS = 30_000;

const missing = existsSync(BIOS) ? null : `no ${BIOS} here; install it with: apt-get install seabios`;
if (missing !== null) console.log(`skipped: ${missing}`);

const file = (path: string): { buffer: ArrayBuffer } => ({ buffer: new Uint8Array(readFileSync(path)).buffer });

/** Boots the disk and gives what it says on its serial line, up to the boot sector's verdict. */
async function bootFrom(disk: Uint8Array, events: string[]): Promise<string> {
  const emulator = await createEmulator({
    bios: file(BIOS),
    vga_bios: file(VGA_BIOS),
    boot_order: HARD_DISK_FIRST,
    memory_size: 16 << 20,
  });
  try {
    const controller = createNvmeController(
      { namespaces: [{ sizeBytes: DISK_BYTES }] },
      { createStore: () => new MemoryBlockStore(disk, 0, DISK_BYTES) },
    );
    attachNvme(emulator, controller, { trace: ({ name }) => events.push(name) });
    const verdict = new Promise<string>((resolve) => {
      emulator.add_listener('serial0-output-byte', (byte) => resolve(String.fromCharCode(byte)));
    });
    await emulator.run();
    return await verdict;
  } finally {
    await emulator.stop();
    await emulator.destroy();
  }
}

describe.skipIf(missing !== null)('SeaBIOS on our controller', () => {
  it(
    'boots a sector that reads and writes by INT 13h',
    async () => {
      const disk = new Uint8Array(DISK_BYTES);
      disk.set(bootSector());
      for (let i = 0; i < SECTOR_BYTES; i++) disk[SECTOR_BYTES + i] = (i * 7) & 0xff;
      const events: string[] = [];
      expect(await bootFrom(disk, events)).toBe('N');
      const source = disk.subarray(SECTOR_BYTES, 2 * SECTOR_BYTES);
      expect(disk.subarray(2 * SECTOR_BYTES, 3 * SECTOR_BYTES)).toEqual(source.map((byte) => ~byte & 0xff));
      expect(events.filter((name) => name === 'pci_nvme_write')).toHaveLength(1);
      expect(events).not.toContain('pci_nvme_err_startfail');
    },
    TIMEOUT_MS,
  );
});
