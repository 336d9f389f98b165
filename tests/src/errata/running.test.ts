/** What texts about queues and completions get wrong: errata 3 to 8 and 11. */
import { PROFILES, REQ_OP_WRITE } from '@nvme-stack/machine';
import { SparseBlockStore } from '@nvme-stack/nvme-controller';
import type { BlockStoreClient } from '@nvme-stack/nvme-controller/ports';
import { describe, expect, it } from 'vitest';
import { stateOf } from '../controller-state.js';
import { at, eventArgs, machineOf } from './looking.js';

const PAGE = 4096;
const IDENTIFY = 0x06;
const CREATE_SQ = 0x01;

describe('erratum 3, the order of a reset', () => {
  it.each(PROFILES)('Identify Controller comes before the I/O queues are made (%s)', async (profile) => {
    await using machine = await machineOf(profile);
    await machine.modprobe('nvme');
    await machine.settle();
    const from = machine.trace.entries.length;
    await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    await machine.settle();
    const opcodes = eventArgs(machine.trace.entries.slice(from), 'pci_nvme_admin_cmd').map(([, , opcode]) => opcode);
    expect(opcodes.indexOf(IDENTIFY)).toBeGreaterThanOrEqual(0);
    expect(opcodes.indexOf(CREATE_SQ)).toBeGreaterThan(opcodes.indexOf(IDENTIFY));
    expect(stateOf(machine)).toBe('live');
  });
});

describe('erratum 4, PRP2', () => {
  // @acceptance 123
  it.each(PROFILES)('is the second page of two, and a list of the rest from three on (%s)', async (profile) => {
    await using machine = await machineOf(profile);
    await machine.modprobe('nvme');
    await machine.settle();
    const write = async (pages: number) => {
      const buffer = machine.allocBuffer(pages * PAGE);
      const bio = machine.allocBio(pages);
      const disk = machine.subsystems.blkMq.lookup('nvme0n1')?.disk ?? null;
      Object.assign(bio, { disk, opf: REQ_OP_WRITE, sector: 0, sizeBytes: pages * PAGE, vcnt: pages });
      buffer.pages.forEach((page, i) => {
        bio.vecAddr[i] = page;
        bio.vecLengthBytes[i] = PAGE;
      });
      const from = machine.trace.entries.length;
      expect(await machine.submitBio(bio)).toBe(0);
      const [, , prp1 = 0, prp2 = 0] = eventArgs(machine.trace.entries.slice(from), 'pci_nvme_map_prp')[0] ?? [];
      return { prp1, prp2, pages: buffer.pages };
    };
    const one = await write(1);
    expect([one.prp1, one.prp2]).toEqual([one.pages[0], 0]);
    const two = await write(2);
    expect([two.prp1, two.prp2]).toEqual(two.pages);
    const three = await write(3);
    expect(three.prp1).toBe(three.pages[0]);
    expect(three.prp2).toBeGreaterThan(0);
    expect(three.pages).not.toContain(three.prp2);
  });
});

describe('errata 5 and 6, the phase bit', () => {
  // @acceptance 113
  it.each(PROFILES)('changes once for each pass over the queue, not for each entry (%s)', async (profile) => {
    const depth = 8;
    await using machine = await machineOf(profile, {
      cpus: 1,
      nvme: [{ mqes: depth - 1, namespaces: [{ sizeMiB: 8 }] }],
    });
    await machine.modprobe('nvme');
    await machine.settle();
    const queue = () => machine.queues('nvme0')[1];
    expect(queue()?.depth).toBe(depth);
    const disk = machine.disk('nvme0n1');
    const phases: number[] = [];
    let passes = 0;
    for (let i = 0; i < 3 * depth; i++) {
      const before = queue()?.cqHead ?? 0;
      await disk.read(0, PAGE);
      const { cqHead = 0, cqPhase = 0 } = queue() ?? {};
      if (cqHead < before) passes++;
      phases.push(cqPhase);
    }
    const flips = phases.filter((phase, i) => i > 0 && phase !== phases[i - 1]).length;
    expect(passes).toBe(3);
    expect([flips, flips + 1]).toContain(passes);
  });

  // @acceptance 119
  it('tells an entry from an old one and nothing more: damaged data and a good phase are a good read', async () => {
    class DamagingStore extends SparseBlockStore {
      override read(_offset: number, length: number, client: BlockStoreClient): void {
        client.piece(new Uint8Array(length).fill(0x55), 0, length);
        client.done(0);
      }
    }
    const parts = { blockStore: ({ sizeBytes }: { sizeBytes: number }) => new DamagingStore(sizeBytes) };
    await using machine = await machineOf('6.12', {}, { parts });
    await machine.modprobe('nvme');
    const disk = machine.disk('nvme0n1');
    await disk.write(0, new Uint8Array(PAGE).fill(0xaa));
    expect(new Set(await disk.read(0, PAGE))).toEqual(new Set([0x55]));
    expect(machine.dmesg().filter((line) => /error|invalid|timeout/i.test(line))).toEqual([]);
  });
});

describe('erratum 7, rmmod', () => {
  // @acceptance 126
  it.each(PROFILES)(
    'takes the disks first, deletes the I/O queues by command and ends the admin queue by CC (%s)',
    async (profile) => {
      await using machine = await machineOf(profile, { cpus: 4 });
      await machine.modprobe('nvme');
      await machine.settle();
      const from = machine.trace.entries.length;
      await machine.rmmod('nvme');
      const entries = machine.trace.entries.slice(from);
      const order = [
        'nvme_remove',
        'nvme_change_ctrl_state',
        'nvme_remove_namespaces',
        'del_gendisk',
        'pci_nvme_del_sq',
        'pci_nvme_del_cq',
        'pci_nvme_mmio_shutdown_set',
      ];
      const places = order.map((symbol) => at(entries, symbol));
      expect(places).toEqual([...places].sort((a, b) => a - b));
      const ids = (name: string) => eventArgs(entries, name).map(([id]) => id);
      expect(ids('pci_nvme_del_sq')).toEqual([4, 3, 2, 1]);
      expect(ids('pci_nvme_del_cq')).toEqual([4, 3, 2, 1]);
    },
  );
});

describe('erratum 8, who shares a vector with the admin queue', () => {
  // @acceptance 95
  it.each(PROFILES)('depends on the kernel (%s)', async (profile) => {
    await using machine = await machineOf(profile);
    await machine.modprobe('nvme');
    await machine.settle();
    const vectors = machine.queues('nvme0').map(({ vector }) => vector);
    const shares = profile === '4.10' || profile === '4.13';
    expect(vectors).toEqual(shares ? [0, 0, 1] : [0, 1, 2]);
  });

  it('is every queue where there is one vector in all', async () => {
    await using machine = await machineOf('6.12', {
      nvme: [{ msixVectors: 1, namespaces: [{ sizeMiB: 8 }] }],
    });
    await machine.modprobe('nvme');
    expect(machine.queues('nvme0').map(({ vector }) => vector)).toEqual([0, 0]);
  });
});

describe('erratum 11, the third kind of interrupt', () => {
  it.each(PROFILES)('is INTx: a level at a pin, and no message (%s)', async (profile) => {
    await using machine = await machineOf(profile, {
      nvme: [{ interrupts: 'intx', namespaces: [{ sizeMiB: 8 }] }],
    });
    await machine.modprobe('nvme');
    await machine.settle();
    const disk = machine.disk('nvme0n1');
    const from = machine.trace.entries.length;
    await disk.write(0, new Uint8Array(PAGE).fill(3));
    const entries = machine.trace.entries.slice(from);
    expect(eventArgs(entries, 'msi_notify')).toEqual([]);
    const levels = eventArgs(entries, 'pci_set_irq').map(([, , level]) => level);
    expect(levels).toEqual([1, 0]);
    expect((await disk.read(0, PAGE))[7]).toBe(3);
  });
});
