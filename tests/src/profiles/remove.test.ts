import { describe, expect, it } from 'vitest';
import { ALL, during, events, leftBehind, REG_CC, running, symbols, writesTo } from './bench.js';

const SHN_NORMAL = 1 << 14;
const SHN_MASK = 3 << 14;

describe('removal', () => {
  // @acceptance 6 126 129
  it.each([
    [
      '6.12',
      [
        'nvme_remove',
        'nvme_change_ctrl_state',
        'nvme_stop_ctrl',
        'nvme_remove_namespaces',
        'nvme_dev_disable',
        'nvme_remove_admin_tag_set',
        'nvme_uninit_ctrl',
      ],
    ],
    [
      '6.1',
      [
        'nvme_remove',
        'nvme_change_ctrl_state',
        'nvme_stop_ctrl',
        'nvme_remove_namespaces',
        'nvme_dev_disable',
        'nvme_remove_admin_tag_set',
        'nvme_uninit_ctrl',
      ],
    ],
    [
      '4.13',
      [
        'nvme_remove',
        'nvme_change_ctrl_state',
        'nvme_stop_ctrl',
        'nvme_remove_namespaces',
        'nvme_dev_disable',
        'blk_cleanup_queue',
        'nvme_uninit_ctrl',
      ],
    ],
    [
      '4.10',
      [
        'nvme_remove',
        'nvme_change_ctrl_state',
        'nvme_stop_ctrl',
        'nvme_remove_namespaces',
        'nvme_uninit_ctrl',
        'nvme_dev_disable',
        'blk_cleanup_queue',
      ],
    ],
  ] as const)('of %s goes in this order: %j', async (profile, order) => {
    const machine = await running(profile);
    const entries = await during(machine, () => machine.rmmod('nvme'));
    const seen = symbols(entries).filter((symbol) => (order as readonly string[]).includes(symbol));
    expect([...new Set(seen)]).toEqual(order);
    await machine.rmmod('nvme_core');
    expect(machine.leaks()).toEqual([]);
  });

  // @acceptance 127 128
  it.each(ALL)(
    'of %s deletes submission queues, then completion queues, and never the admin queue',
    async (profile) => {
      const machine = await running(profile);
      const entries = await during(machine, () => machine.rmmod('nvme'));
      expect(events(entries, 'del_sq').map(({ qid, sqid }) => qid ?? sqid)).toEqual([4, 3, 2, 1]);
      expect(events(entries, 'del_cq').map(({ qid, cqid }) => qid ?? cqid)).toEqual([4, 3, 2, 1]);
      const deletions = entries.map(({ symbol }) => symbol).filter((symbol) => /^pci_nvme_del_[sc]q$/.test(symbol));
      expect(deletions.lastIndexOf('pci_nvme_del_sq')).toBeLessThan(deletions.indexOf('pci_nvme_del_cq'));
    },
  );

  // @acceptance 131
  it.each(ALL)('of %s tells the controller to shut down, as does the end of the system', async (profile) => {
    const machine = await running(profile);
    const removed = await during(machine, () => machine.rmmod('nvme'));
    expect(writesTo(removed, REG_CC).map((value) => value & SHN_MASK)).toEqual([SHN_NORMAL]);
    const other = await running(profile);
    const ended = await during(other, () => other.shutdown());
    expect(writesTo(ended, REG_CC).map((value) => value & SHN_MASK)).toEqual([SHN_NORMAL]);
    expect(symbols(ended)).toContain('nvme_shutdown');
    expect(symbols(ended).includes('nvme_shutdown_ctrl')).toBe(profile !== '6.12');
  });

  // @acceptance 130
  it.each(ALL)('of %s unmaps the registers and gives the regions back, last of all', async (profile) => {
    const machine = await running(profile);
    expect(machine.procfs.read('/proc/iomem')).toMatch(/: nvme$/m);
    const pages = machine.subsystems.platform.mappedPages(0x18);
    expect(pages).toBeGreaterThan(0);
    const entries = await during(machine, () => machine.rmmod('nvme'));
    expect(machine.procfs.read('/proc/iomem')).not.toMatch(/: nvme$/m);
    expect(machine.subsystems.platform.mappedPages(0x18)).toBe(0);
    expect(symbols(entries)).not.toContain('pci_iounmap');
  });

  it.each(ALL)('of %s while the controller is still being brought up waits for that', async (profile) => {
    const machine = await running(profile);
    await machine.rmmod('nvme');
    const coming = machine.modprobe('nvme');
    await coming;
    expect(await leftBehind(machine)).toEqual([]);
  });
});
