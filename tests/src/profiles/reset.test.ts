import { NVME_CTRL_RESETTING } from '@nvme-stack/nvme-core/ports';
import { describe, expect, it } from 'vitest';
import { ALL, calls, during, leftBehind, log, machineOf, OLD, running, state, symbols } from './bench.js';

const RESET = '/sys/class/nvme/nvme0/reset_controller';

/** A machine whose controller's state is recorded at every call of a function of the driver. */
async function statesOf(profile: (typeof ALL)[number]): Promise<string[]> {
  const machine = await machineOf(profile);
  const states: string[] = [];
  machine.trace.subscribe((entry) => {
    if (entry.kind !== 'function') return;
    const ctrl = machine.subsystems.nvmeCore.controllers[0];
    if (ctrl === undefined) return;
    const name = ['new', 'live', 'resetting', 'connecting', 'deleting', 'deleting', 'dead'][ctrl.state];
    if (states.at(-1) !== name) states.push(name);
  });
  await machine.modprobe('nvme');
  await machine.settle();
  await machine.sysfs.write(RESET, '1');
  await machine.settle();
  await machine.rmmod('nvme');
  return states;
}

describe('states', () => {
  // @acceptance 54 65
  it.each([
    ['6.12', ['new', 'connecting', 'live', 'resetting', 'connecting', 'live', 'deleting']],
    ['6.1', ['new', 'resetting', 'connecting', 'live', 'resetting', 'connecting', 'live', 'deleting']],
    ['4.13', ['new', 'resetting', 'live', 'resetting', 'live', 'deleting']],
    ['4.10', ['new', 'resetting', 'live', 'resetting', 'live', 'deleting']],
  ] as const)('of %s over start, reset and removal: %j', async (profile, states) => {
    expect(await statesOf(profile)).toEqual(states);
  });

  // @acceptance 54
  it.each([
    ['4.13', ['nvme_reset_ctrl_sync', 'nvme_reset_ctrl', 'nvme_change_ctrl_state', 'queue_work_on', 'nvme_reset_work']],
    ['4.10', ['nvme_pci_reset_ctrl', 'queue_work_on', 'nvme_reset_work', 'nvme_dev_disable', 'nvme_change_ctrl_state']],
  ] as const)('of %s become resetting before the work is queued, or in it', async (profile, order) => {
    const machine = await running(profile);
    const entries = await during(machine, () => machine.sysfs.write(RESET, '1'));
    const seen = symbols(entries).filter((symbol) => (order as readonly string[]).includes(symbol));
    expect([...new Set(seen)]).toEqual(order);
  });
});

describe('the entry of nvme_reset_work', () => {
  // @acceptance 52 67
  it('of 4.10 warns of a controller that is resetting already, and gives it up', async () => {
    const machine = await running('4.10');
    const { nvmeCore } = machine.subsystems;
    const [ctrl] = nvmeCore.controllers;
    await machine.task('someone else', async () => {
      expect(nvmeCore.nvmeChangeCtrlState(ctrl, NVME_CTRL_RESETTING)).toBe(true);
    });
    await machine.sysfs.write(RESET, '1');
    await machine.settle();
    const lines = log(machine).join('\n');
    expect(lines).toMatch(/WARNING: CPU: \d+ PID: \d+ at drivers\/nvme\/host\/pci.c nvme_reset_work/);
    expect(lines).toContain('nvme nvme0: Removing after probe failure status: -19');
    expect(machine.sysfs.exists('/sys/class/nvme/nvme0')).toBe(false);
    expect(await leftBehind(machine)).toEqual([]);
  });

  // @acceptance 52 67
  it('of 4.13 warns of a controller that is not', async () => {
    const machine = await running('4.13');
    const { nvmeCore, workqueues } = machine.subsystems;
    const [ctrl] = nvmeCore.controllers;
    await machine.task('someone else', async () => {
      if (ctrl.resetWork !== null) workqueues.queueWork(nvmeCore.nvmeWq, ctrl.resetWork);
    });
    await machine.settle();
    expect(log(machine).join('\n')).toMatch(/WARNING: CPU: \d+ PID: \d+ at drivers\/nvme\/host\/pci.c nvme_reset_work/);
    expect(machine.sysfs.exists('/sys/class/nvme/nvme0')).toBe(false);
    expect(await leftBehind(machine)).toEqual([]);
  });

  // @acceptance 52
  it.each(['6.12', '6.1'] as const)('of %s only says so', async (profile) => {
    const machine = await running(profile);
    const { nvmeCore, workqueues } = machine.subsystems;
    const [ctrl] = nvmeCore.controllers;
    await machine.task('someone else', async () => {
      if (ctrl.resetWork !== null) workqueues.queueWork(nvmeCore.nvmeResetWq, ctrl.resetWork);
    });
    await machine.settle();
    const lines = log(machine).join('\n');
    expect(lines).toContain('nvme nvme0: ctrl state 1 is not RESETTING');
    expect(lines).not.toContain('WARNING');
    expect(await leftBehind(machine)).toEqual([]);
  });

  // @acceptance 52
  it.each([
    ['6.12', 'EBUSY'],
    ['6.1', 'EBUSY'],
    ['4.13', 'EBUSY'],
    ['4.10', 'ENODEV'],
  ] as const)('is not reached on %s while a reset is under way: %s', async (profile, code) => {
    const machine = await running(profile);
    const both = await Promise.allSettled([machine.sysfs.write(RESET, '1'), machine.sysfs.write(RESET, '1')]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const refused = both.find((one) => one.status === 'rejected');
    expect(refused?.reason).toMatchObject({ code });
    expect(state(machine)).toBe('live');
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('is not reached on 4.10 either when the work has begun: ENODEV', async () => {
    const machine = await running('4.10');
    const entries = await during(machine, async () => {
      const first = machine.sysfs.write(RESET, '1');
      await machine.run(5_000);
      await expect(machine.sysfs.write(RESET, '1')).rejects.toMatchObject({ code: 'ENODEV' });
      await first;
    });
    expect(calls(entries, 'nvme_reset_work').length).toBe(1);
    expect(state(machine)).toBe('live');
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('a reset', () => {
  // @acceptance 53
  it.each(ALL)('of %s disables a live controller first', async (profile) => {
    const machine = await running(profile);
    const entries = await during(machine, () => machine.sysfs.write(RESET, '1'));
    const order = symbols(entries).filter((symbol) =>
      ['nvme_reset_work', 'nvme_dev_disable', 'nvme_pci_enable'].includes(symbol),
    );
    expect(order).toEqual(['nvme_reset_work', 'nvme_dev_disable', 'nvme_pci_enable']);
    // At the start of a new controller there is nothing to disable.
    const fresh = await machineOf(profile);
    const starting = await during(fresh, async () => {
      await fresh.modprobe('nvme');
      await fresh.settle();
    });
    expect(symbols(starting)).not.toContain('nvme_dev_disable');
  });

  it.each(ALL)('of %s that the core asks for is done once, and ends live', async (profile) => {
    const machine = await running(profile);
    const { nvmeCore } = machine.subsystems;
    const entries = await during(machine, async () => {
      await machine.task('core', async () => nvmeCore.nvmeResetCtrl(nvmeCore.controllers[0]));
      await machine.settle();
    });
    expect(calls(entries, 'nvme_reset_work').length).toBe(1);
    expect(state(machine)).toBe('live');
    expect(log(machine).join('\n')).not.toContain('WARNING');
    expect(await leftBehind(machine)).toEqual([]);
  });

  // @acceptance 64
  it.each(ALL)('of %s keeps the tag set', async (profile) => {
    const machine = await running(profile);
    const set = machine.subsystems.nvmeCore.controllers[0].tagset;
    const entries = await during(machine, () => machine.sysfs.write(RESET, '1'));
    expect(machine.subsystems.nvmeCore.controllers[0].tagset).toBe(set);
    expect(symbols(entries)).not.toContain('blk_mq_alloc_tag_set');
  });

  // @acceptance 55 56 57 59 60
  it.each([
    ['4.13', 'nvme_pci_configure_admin_queue', 'nvme_start_ctrl'],
    ['4.10', 'nvme_configure_admin_queue', 'nvme_queue_async_events'],
  ] as const)('of %s goes through the steps in their order', async (profile, configure, last) => {
    const machine = await running(profile);
    const entries = await during(machine, () => machine.sysfs.write(RESET, '1'));
    const steps = ['nvme_pci_enable', configure, 'nvme_init_identify', 'nvme_setup_io_queues', last];
    const seen = symbols(entries).filter((symbol) => steps.includes(symbol));
    expect(seen).toEqual(steps);
    const adminqs = machine.queues('nvme0')[0];
    expect(adminqs.cqPhase).toBe(1);
  });

  it.each(ALL)('of %s freezes the queues, but for 4.10', async (profile) => {
    const machine = await running(profile);
    const seen = symbols(await during(machine, () => machine.sysfs.write(RESET, '1')));
    for (const symbol of ['nvme_start_freeze', 'nvme_wait_freeze', 'nvme_unfreeze']) {
      expect(seen.includes(symbol), symbol).toBe(profile !== '4.10');
    }
    expect(seen.includes('nvme_sync_queues')).toBe(!OLD.includes(profile));
  });

  // @acceptance 66
  it('of 4.10 asks for a scan itself, of 4.13 in nvme_start_ctrl', async () => {
    for (const profile of OLD) {
      const machine = await running(profile);
      const entries = await during(machine, async () => {
        await machine.sysfs.write(RESET, '1');
        await machine.settle();
      });
      expect(symbols(entries).includes('nvme_start_ctrl')).toBe(profile === '4.13');
      expect(calls(entries, 'nvme_scan_work').length).toBe(1);
    }
  });
});
