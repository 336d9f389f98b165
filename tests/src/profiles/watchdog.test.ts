import type { FaultPlan } from '@nvme-stack/nvme-controller/ports';
import { describe, expect, it } from 'vitest';
import { ALL, calls, during, leftBehind, log, machineOf, REG_CSTS, running, state } from './bench.js';

const SECOND_NS = 1e9;
const CFS = 1 << 1;

describe('the watchdog', () => {
  // @acceptance 62
  it('of 4.10 reads CSTS at every whole second', async () => {
    const machine = await running('4.10');
    const entries = await during(machine, () => machine.run(5.5 * SECOND_NS));
    const looks = calls(entries, 'nvme_watchdog_timer');
    expect(looks.map(({ startNs }) => Math.floor(startNs / SECOND_NS))).toEqual([1, 2, 3, 4, 5]);
    for (const { startNs } of looks) expect(startNs % SECOND_NS).toBeLessThan(1000);
    const reads = entries.filter(({ symbol, args }) => symbol === 'pci_nvme_mmio_read' && args[0] === REG_CSTS);
    expect(reads.length).toBeGreaterThanOrEqual(5);
    expect(looks.every(({ context }) => context === 'softirq')).toBe(true);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each(['6.12', '6.1', '4.13'] as const)('is gone on %s', async (profile) => {
    const machine = await running(profile);
    const entries = await during(machine, () => machine.run(3 * SECOND_NS));
    expect(entries.filter(({ kind }) => kind === 'mmio')).toEqual([]);
  });

  // @acceptance 62 132
  it('of 4.10 resets a controller that has failed, without any I/O', async () => {
    let failed = false;
    const plan: FaultPlan = {
      register: (offset, value, isWrite) => (failed && !isWrite && offset === REG_CSTS ? value | CFS : value),
    };
    const machine = await machineOf('4.10', {}, { faultPlans: [plan] });
    await machine.modprobe('nvme');
    await machine.settle();
    failed = true;
    const entries = await during(machine, async () => {
      await machine.run(1.5 * SECOND_NS);
      failed = false;
      await machine.run(2 * SECOND_NS);
    });
    expect(log(machine).join('\n')).toMatch(/Failed status: 0x[0-9a-f]*3, reset controller\./);
    expect(calls(entries, 'nvme_reset_work').length).toBeGreaterThan(0);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('rests while the controller is disabled, and stops with it', async () => {
    const machine = await running('4.10');
    await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    expect(state(machine)).toBe('live');
    const before = await during(machine, () => machine.run(2 * SECOND_NS));
    expect(calls(before, 'nvme_watchdog_timer').length).toBe(2);
    await machine.rmmod('nvme');
    const after = await during(machine, () => machine.run(3 * SECOND_NS));
    expect(calls(after, 'nvme_watchdog_timer')).toEqual([]);
  });

  it.each(ALL)('does not keep settle from ending on %s', async (profile) => {
    const machine = await running(profile, { trace: 'off' });
    await machine.settle();
    expect(state(machine)).toBe('live');
  });
});
