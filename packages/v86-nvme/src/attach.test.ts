// A controller in an emulated PC, seen from the PC's side: configuration space, windows, memory, interrupts, snapshots.
import { createNvmeController, type NvmeController } from '@nvme-stack/nvme-controller';
import {
  NVME_REG_ACQ,
  NVME_REG_AQA,
  NVME_REG_ASQ,
  NVME_REG_CC,
  NVME_REG_CSTS,
  NVME_REG_DBS,
  NVME_REG_VS,
} from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { attachNvme } from './attach.js';
import { FakeV86 } from './fixtures/fake-v86.js';
import type { AttachNvmeOptions, NvmeAttachment } from './ports.js';

const SLOT = 4;
const BAR = 0xf0000000;
const COMMAND = 4;
const MEMORY_AND_MASTER = 6;
const BAR0 = 0x10;
const MSIX = 0x40;
const MSIX_ENABLE = 0x80000000;
const VERSION_1_4 = 0x00010400;
const ASQ = 0x10000;
const ACQ = 0x11000;

interface Bench {
  readonly pc: FakeV86;
  readonly attachment: NvmeAttachment;
  readonly controller: NvmeController;
}

function bench(options: AttachNvmeOptions = {}, isOn = true): Bench {
  const pc = new FakeV86();
  const controller = createNvmeController({ namespaces: [{ sizeBytes: 1 << 20 }] });
  const attachment = attachNvme(pc, controller, { slot: SLOT, bar: BAR, ...options });
  if (isOn) pc.configWrite(attachment.slot, COMMAND, MEMORY_AND_MASTER);
  return { pc, attachment, controller };
}

/** Enables the controller at `bar` and rings for an Identify Controller in its admin queue. */
function identify({ pc }: { readonly pc: FakeV86 }, bar = BAR): void {
  pc.write32(bar + NVME_REG_AQA, 0x001f001f);
  pc.write32(bar + NVME_REG_ASQ, ASQ);
  pc.write32(bar + NVME_REG_ACQ, ACQ);
  pc.write32(bar + NVME_REG_CC, 0x00460001);
  const entry = new DataView(pc.cpu.mem8.buffer, ASQ);
  entry.setUint32(0, 0x00010006, true);
  entry.setUint32(24, 0x20000, true);
  entry.setUint32(40, 1, true);
  pc.log.length = 0;
  pc.write32(bar + NVME_REG_DBS, 1);
}

const identified = (pc: FakeV86): string => String.fromCharCode(...pc.cpu.mem8.subarray(0x20018, 0x20022));
const interrupts = (pc: FakeV86): string[] => pc.log.filter((line) => !line.startsWith('blob') && line !== 'wake');

describe('configuration space', () => {
  it('answers in its slot, and leaves the others alone', () => {
    const { pc } = bench();
    expect(pc.configRead(SLOT, 0)).toBe(0x00101b36);
    expect(pc.configRead(SLOT + 1, 0)).toBe(0xffffffff);
    pc.log.length = 0;
    pc.configWrite(SLOT + 1, COMMAND, 6);
    expect(pc.log).toEqual(['config write32']);
  });

  it('takes bytes, words and dwords', () => {
    const { pc } = bench();
    const { pci } = pc.cpu.devices;
    pci.pci_write8((SLOT << 11) | 0x3c, 0x1ff & 0xab);
    pci.pci_write16((SLOT << 11) | COMMAND, 0x0402);
    expect(pc.configRead(SLOT, 0x3c) & 0xff).toBe(0xab);
    expect(pc.configRead(SLOT, COMMAND) & 0xffff).toBe(0x0402);
  });

  it('leads past MSI-X when that is not wanted, and does not let it be enabled', () => {
    const { pc } = bench({ msix: false });
    const found: number[] = [];
    for (let at = pc.configRead(SLOT, 0x34) & 0xff; at !== 0; at = (pc.configRead(SLOT, at) >>> 8) & 0xff) {
      found.push(pc.configRead(SLOT, at) & 0xff);
    }
    expect(found).toEqual([0x10, 0x01]);
    pc.configWrite(SLOT, MSIX, MSIX_ENABLE);
    expect(pc.configRead(SLOT, MSIX)).toBe(0);
  });
});

describe('the window', () => {
  it('answers while memory decoding is on', () => {
    const { pc, attachment } = bench({}, false);
    expect(pc.read32(BAR + NVME_REG_VS)).toBe(0xffffffff);
    pc.configWrite(SLOT, COMMAND, MEMORY_AND_MASTER);
    expect(attachment.bar).toBe(BAR);
    expect(pc.read32(BAR + NVME_REG_VS)).toBe(VERSION_1_4);
    expect(pc.read32(BAR + attachment.barBytes)).toBe(0xffffffff);
    pc.configWrite(SLOT, COMMAND, 0);
    expect(pc.read32(BAR + NVME_REG_VS)).toBe(0xffffffff);
  });

  it('moves with BAR0', () => {
    const { pc, attachment } = bench();
    pc.configWrite(SLOT, BAR0, 0xe0100000);
    expect(attachment.bar).toBe(0xe0100000);
    expect(pc.read32(0xe0100000 + NVME_REG_VS)).toBe(VERSION_1_4);
    expect(pc.read32(BAR + NVME_REG_VS)).toBe(0xffffffff);
  });

  it('is closed in D3hot', () => {
    const { pc } = bench();
    pc.configWrite(SLOT, 0x64, 3);
    expect(pc.read32(BAR + NVME_REG_VS)).toBe(0xffffffff);
    pc.configWrite(SLOT, 0x64, 0);
    expect(pc.read32(BAR + NVME_REG_VS)).toBe(VERSION_1_4);
  });

  it('is closed for good after a surprise removal', () => {
    const { pc, attachment } = bench();
    attachment.unplug();
    pc.configWrite(SLOT, COMMAND, MEMORY_AND_MASTER);
    expect(pc.configRead(SLOT, 0)).toBe(0xffffffff);
    expect(pc.read32(BAR + NVME_REG_VS)).toBe(0xffffffff);
    expect(attachment.bar).toBe(0);
  });

  it('carries bytes, and ignores what is not a whole dword of a register', () => {
    const { pc } = bench();
    const block = BAR >>> 17;
    pc.cpu.memory_map_write8[block]?.((BAR + NVME_REG_AQA) | 0, 0x1f);
    expect(pc.read32(BAR + NVME_REG_AQA)).toBe(0);
    expect(pc.cpu.memory_map_read8[block]?.((BAR + NVME_REG_VS + 1) | 0)).toBe(4);
  });
});

describe('commands', () => {
  it('run at the next safe point, not inside the doorbell write', () => {
    const all = bench();
    identify(all);
    expect(identified(all.pc)).not.toContain('QEMU');
    all.pc.safePoint(1);
    expect(identified(all.pc)).toBe('QEMU NVMe ');
    expect(all.pc.log).toContain('blob 20000+4096');
  });

  it('wake a main loop that idles', () => {
    const all = bench();
    identify(all);
    expect(all.pc.log).toContain('wake');
    all.pc.running = false;
    all.pc.log.length = 0;
    all.pc.write32(BAR + NVME_REG_DBS, 2);
    expect(all.pc.log).not.toContain('wake');
  });

  it('fail when their data lie where no RAM is', () => {
    for (const address of [0xa0000, 0xbf000, 1 << 21, 0xf0000000]) {
      const all = bench();
      identify(all);
      new DataView(all.pc.cpu.mem8.buffer).setUint32(ASQ + 24, address, true);
      all.pc.safePoint(1);
      const status = new DataView(all.pc.cpu.mem8.buffer, ACQ).getUint16(14, true) >>> 1;
      expect(status & 0xfff, address.toString(16)).toBe(0x004);
    }
  });
});

describe('interrupts', () => {
  it('raise the pin at a safe point, and lower it at once where interrupts are off', () => {
    const all = bench();
    const { pc } = all;
    identify(all);
    expect(interrupts(pc)).toEqual([]);
    pc.safePoint(1);
    expect(interrupts(pc)).toEqual([`raise ${SLOT}`]);
    pc.cpu.flags[0] = 2;
    pc.write32(BAR + NVME_REG_DBS + 4, 1);
    expect(interrupts(pc)).toEqual([`raise ${SLOT}`, `lower ${SLOT}`]);
  });

  it('lower the pin at a safe point where interrupts are on', () => {
    const all = bench();
    const { pc } = all;
    identify(all);
    pc.safePoint(1);
    pc.write32(BAR + NVME_REG_DBS + 4, 1);
    expect(interrupts(pc)).toEqual([`raise ${SLOT}`]);
    pc.safePoint(2);
    expect(interrupts(pc)).toEqual([`raise ${SLOT}`, `lower ${SLOT}`]);
  });

  it('hold a line up as long as one of the slots that share it does', () => {
    const all = bench();
    const { pc } = all;
    const otherBar = BAR + 0x100000;
    attachNvme(pc, createNvmeController({ namespaces: [] }), { slot: SLOT + 4, bar: otherBar });
    pc.configWrite(SLOT + 4, COMMAND, MEMORY_AND_MASTER);
    identify(all);
    pc.safePoint(1);
    identify(all, otherBar);
    pc.safePoint(2);
    pc.cpu.flags[0] = 2;
    pc.write32(BAR + NVME_REG_DBS + 4, 1);
    expect(interrupts(pc)).toEqual([]);
    pc.write32(otherBar + NVME_REG_DBS + 4, 1);
    expect(interrupts(pc)).toEqual([`lower ${SLOT + 4}`]);
  });

  it('post MSI-X messages to the local APIC, as an interrupt to itself', () => {
    const all = bench();
    const { pc } = all;
    pc.configWrite(SLOT, MSIX, MSIX_ENABLE);
    const table = BAR + 0x2000;
    pc.write32(table, 0xfee01004);
    pc.write32(table + 8, 0x4026);
    pc.write32(table + 12, 0);
    identify(all);
    pc.safePoint(1);
    expect(interrupts(pc)).toEqual(['write32 fee00300 40026']);
  });
});

describe('time', () => {
  it('comes from the main loop, which sleeps no longer than the next alarm', () => {
    const pc = new FakeV86();
    const controller = createNvmeController({ namespaces: [], readyDelayNs: 5e6 });
    attachNvme(pc, controller, { slot: SLOT, bar: BAR });
    pc.configWrite(SLOT, COMMAND, MEMORY_AND_MASTER);
    expect(pc.safePoint(10)).toBe(100);
    pc.write32(BAR + NVME_REG_AQA, 0x001f001f);
    pc.write32(BAR + NVME_REG_CC, 0x00460001);
    expect(pc.safePoint(12)).toBe(3);
    expect(pc.read32(BAR + NVME_REG_CSTS)).toBe(0);
    expect(pc.safePoint(15)).toBe(100);
    expect(pc.read32(BAR + NVME_REG_CSTS)).toBe(1);
  });
});

describe('snapshots and reboots', () => {
  it('keep what firmware wrote into configuration space', () => {
    const { pc } = bench();
    pc.configWrite(SLOT, BAR0, 0xe0100000);
    const state = pc.cpu.devices.pci.get_state();
    const again = bench();
    again.pc.configWrite(SLOT, COMMAND, 0);
    again.pc.cpu.devices.pci.set_state(state);
    expect(again.attachment.bar).toBe(0xe0100000);
    expect(again.pc.read32(0xe0100000 + NVME_REG_VS)).toBe(VERSION_1_4);
    expect(again.pc.configRead(SLOT, COMMAND) & 0xffff).toBe(MEMORY_AND_MASTER);
  });

  it('are refused while a driver has the controller enabled', () => {
    const all = bench();
    identify(all);
    expect(() => all.pc.cpu.devices.pci.get_state()).toThrow(
      'slot 4 cannot be saved: its NVMe controller is enabled; unbind or unload its driver first',
    );
  });

  it('reset the controller', () => {
    const all = bench();
    identify(all);
    all.pc.cpu.reboot_internal();
    expect(all.attachment.bar).toBe(0);
    expect(all.controller.barRead(0, NVME_REG_CC, 4)).toBe(0);
    expect(all.pc.configRead(SLOT, COMMAND) & 0xffff).toBe(0);
  });
});

describe('ACPI', () => {
  it('gets an event status that a written one clears, and hot-plug registers that say nothing', () => {
    const { pc } = bench();
    const gpe = pc.cpu.devices.acpi?.gpe as Uint8Array;
    gpe[0] = 0b110;
    pc.ports.get(0xafe0)?.write?.(0b010);
    expect(gpe[0]).toBe(0b100);
    for (let port = 0xae00; port < 0xae10; port++) expect(pc.ports.get(port)?.read?.()).toBe(0);
  });

  it('is left alone where the emulator has none', () => {
    const pc = new FakeV86(false);
    const { slot } = attachNvme(pc, createNvmeController({ namespaces: [] }));
    expect(pc.ports.size).toBe(0);
    // No local APIC either: MSI-X is not to be found.
    expect(pc.configRead(slot, 0x34) & 0xff).not.toBe(MSIX);
  });
});

describe('what cannot be', () => {
  const attach = (options: AttachNvmeOptions): NvmeAttachment =>
    attachNvme(new FakeV86(), createNvmeController({ namespaces: [] }), options);

  it.each([
    [{ slot: 0 }, 'slot 0 is not allowed: it must be a whole number from 1 to 31'],
    [{ slot: 1.5 }, 'slot 1.5 is not allowed: it must be a whole number from 1 to 31'],
    [{ slot: 1 }, 'slot 1 is not allowed: it must be free, and bridge is there'],
    [{ bar: 0x100000 }, 'bar 1048576 is not allowed: it must be a multiple of 0x4000 from 0x200000 to 0xfebfc000'],
    [
      { bar: BAR + 0x1000 },
      `bar ${BAR + 0x1000} is not allowed: it must be a multiple of 0x4000 from 0x200000 to 0xfebfc000`,
    ],
  ])('refuses %o', (options, message) => {
    expect(() => attach(options)).toThrow(message);
  });

  it('takes the first free slot unless told', () => {
    expect(attach({}).slot).toBe(3);
  });

  it('refuses an emulator that is not loaded, and one it does not know', () => {
    const controller = createNvmeController({ namespaces: [] });
    expect(() => attachNvme({}, controller)).toThrow("whose event 'emulator-loaded' has come");
    const pc = new FakeV86();
    Object.assign(pc.v86.cpu, { run_hardware_timers: undefined });
    expect(() => attachNvme(pc, controller)).toThrow('emulator has no run_hardware_timers');
  });
});
