import { KernelError } from '@nvme-stack/kernel';
import { createPciBus } from '@nvme-stack/pci-bus';
import { createWorkqueues } from '@nvme-stack/workqueue';
import { WQ_MEM_RECLAIM, WQ_SYSFS, WQ_UNBOUND } from '@nvme-stack/workqueue/ports';
import { describe, expect, it } from 'vitest';
import {
  ALL,
  callersOf,
  calls,
  during,
  leftBehind,
  log,
  machineOf,
  NVME_BDF,
  OLD,
  REG_CC,
  running,
  state,
  symbols,
  writesTo,
} from './bench.js';

/** Where insmod's own thread and probe meet. */
const TO_PROBE = [
  'do_init_module',
  'do_one_initcall',
  'nvme_init',
  '__pci_register_driver',
  'driver_register',
  'bus_add_driver',
  'driver_attach',
  'bus_for_each_dev',
  '__driver_attach',
  'driver_probe_device',
  'really_probe',
  'pci_device_probe',
  'local_pci_probe',
];

describe('insmod', () => {
  // @acceptance 21
  it.each(['6.1', '4.13', '4.10'] as const)(
    'of %s calls nvme_probe in its own thread, within bus_add_driver',
    async (profile) => {
      const machine = await machineOf(profile);
      const entries = await during(machine, () => machine.modprobe('nvme'));
      const [probe] = calls(entries, 'nvme_probe');
      const callers = callersOf(entries, probe).filter((symbol) => symbol !== '__driver_probe_device');
      expect(callers).toEqual(TO_PROBE);
      expect(probe.task).toBe('modprobe');
    },
  );

  // @acceptance 21 41
  it('of 6.12 leaves nvme_probe to a worker, which brings the controller up itself', async () => {
    const machine = await machineOf('6.12');
    const entries = await during(machine, () => machine.modprobe('nvme'));
    const [probe] = calls(entries, 'nvme_probe');
    expect(probe.task).toMatch(/^kworker/);
    expect(callersOf(entries, probe).slice(0, 3)).toEqual([
      'process_one_work',
      'async_run_entry_fn',
      '__driver_attach_async_helper',
    ]);
    expect(symbols(entries)).not.toContain('nvme_reset_work');
    expect(callersOf(entries, calls(entries, 'nvme_setup_io_queues')[0])).toContain('nvme_probe');
  });

  // @acceptance 39 41
  it.each(OLD)('of %s returns before anything is written to CC, and before the controller is live', async (profile) => {
    const machine = await machineOf(profile);
    const entries = await during(machine, () => machine.modprobe('nvme'));
    expect(writesTo(entries, REG_CC)).toEqual([]);
    expect(symbols(entries)).not.toContain('nvme_reset_work');
    expect(state(machine)).toBe(profile === '4.10' ? 'new' : 'resetting');
    expect(machine.sysfs.exists('/sys/block/nvme0n1')).toBe(false);
    await machine.settle();
    expect(state(machine)).toBe('live');
    expect(machine.sysfs.exists('/sys/block/nvme0n1')).toBe(true);
  });

  // @acceptance 39
  it('of 6.1 asks for the reset through nvme_reset_ctrl, and waits for it and for the scan', async () => {
    const machine = await machineOf('6.1');
    const entries = await during(machine, () => machine.modprobe('nvme'));
    expect(state(machine)).toBe('live');
    expect(machine.sysfs.exists('/sys/block/nvme0n1')).toBe(true);
    expect(callersOf(entries, calls(entries, 'nvme_reset_ctrl')[0]).at(-1)).toBe('nvme_probe');
    const [waiting] = calls(entries, 'nvme_async_probe');
    const [reset] = calls(entries, 'nvme_reset_work');
    const end = ({ startNs, durationNs }: (typeof entries)[number]): number => startNs + durationNs;
    expect(end(waiting)).toBeGreaterThanOrEqual(end(reset));
    expect(end(waiting)).toBeGreaterThanOrEqual(end(calls(entries, 'nvme_scan_work')[0]));
    const last = calls(entries, 'async_synchronize_full').at(-1) as (typeof entries)[number];
    expect(end(last)).toBeGreaterThanOrEqual(end(waiting));
  });

  // @acceptance 38 50
  it.each(['6.1', '4.13', '4.10'] as const)('of %s has a worker do everything else', async (profile) => {
    const machine = await machineOf(profile);
    const entries = await during(machine, async () => {
      await machine.modprobe('nvme');
      await machine.settle();
    });
    const [work] = calls(entries, 'nvme_reset_work');
    expect(work.task).toMatch(/^kworker/);
    expect(callersOf(entries, work)).toEqual(['process_one_work']);
    for (const symbol of ['nvme_init_queue', 'nvme_setup_io_queues', 'blk_mq_alloc_tag_set']) {
      expect(callersOf(entries, calls(entries, symbol)[0]), symbol).toContain('nvme_reset_work');
    }
  });

  it('makes the parts of a controller in the order of its kernel', async () => {
    const order = async (profile: (typeof ALL)[number]): Promise<string[]> => {
      const machine = await machineOf(profile);
      const entries = await during(machine, () => machine.modprobe('nvme'));
      const parts = /^(nvme_init_ctrl|pci_request_selected_regions|dma_pool_create|queue_work_on|nvme_reset_ctrl)$/;
      const direct = entries.filter((entry) => entry.kind === 'function' && parts.test(entry.symbol));
      return [
        ...new Set(
          direct.filter((entry) => callersOf(entries, entry).at(-1) === 'nvme_probe').map(({ symbol }) => symbol),
        ),
      ];
    };
    expect(await order('6.1')).toEqual([
      'nvme_init_ctrl',
      'pci_request_selected_regions',
      'dma_pool_create',
      'nvme_reset_ctrl',
    ]);
    for (const profile of OLD) {
      expect(await order(profile)).toEqual([
        'pci_request_selected_regions',
        'dma_pool_create',
        'nvme_init_ctrl',
        'queue_work_on',
      ]);
    }
  });
});

describe('workqueues', () => {
  const UNBOUND = WQ_UNBOUND | WQ_MEM_RECLAIM;
  // @acceptance 4 5 44 46 51
  it.each([
    ['6.12', ['nvme-delete-wq', 'nvme-reset-wq', 'nvme-wq'], UNBOUND | WQ_SYSFS],
    ['6.1', ['nvme-delete-wq', 'nvme-reset-wq', 'nvme-wq'], UNBOUND | WQ_SYSFS],
    ['4.13', ['nvme-wq'], UNBOUND | WQ_SYSFS],
    ['4.10', ['nvme'], UNBOUND],
  ] as const)('of %s are %j', async (profile, names, flags) => {
    const machine = await running(profile);
    const mine = machine.subsystems.workqueues.list().filter(({ name }) => name.startsWith('nvme'));
    expect(mine.map(({ name }) => name).sort()).toEqual(names);
    for (const wq of mine) expect(wq.flags, wq.name).toBe(flags);
    await machine.rmmod('nvme');
    const left = machine.subsystems.workqueues.list().map(({ name }) => name);
    expect(left.includes('nvme')).toBe(false);
  });

  // @acceptance 4 5
  it('belong to nvme_core but for 4.10, where nvme_init makes the only one and nvme_exit destroys it', async () => {
    for (const profile of ALL) {
      const machine = await machineOf(profile);
      const entries = await during(machine, () => machine.modprobe('nvme'));
      const made = entries.filter(({ symbol }) => symbol === '__alloc_workqueue_key' || symbol === 'alloc_workqueue');
      const byDriver = made.filter((entry) => callersOf(entries, entry).includes('nvme_init'));
      expect(byDriver.length, profile).toBe(profile === '4.10' ? 1 : 0);
      const gone = await during(machine, () => machine.rmmod('nvme'));
      expect(calls(gone, 'destroy_workqueue').length, profile).toBe(profile === '4.10' ? 1 : 0);
    }
  });

  // @acceptance 5
  it('that 4.10 cannot make fails insmod with -ENOMEM, and nothing is registered', async () => {
    const machine = await machineOf(
      '4.10',
      {},
      {
        parts: {
          workqueue: (deps) => {
            const real = createWorkqueues(deps);
            const allocWorkqueue: typeof real.allocWorkqueue = (name, flags, maxActive) => {
              if (name === 'nvme') throw new KernelError('ENOMEM', name);
              return real.allocWorkqueue(name, flags, maxActive);
            };
            return new Proxy(real, {
              get: (target, key) => (key === 'allocWorkqueue' ? allocWorkqueue : Reflect.get(target, key)),
            });
          },
        },
      },
    );
    await expect(machine.modprobe('nvme')).rejects.toMatchObject({ code: 'ENOMEM' });
    expect(machine.sysfs.exists('/sys/bus/pci/drivers/nvme')).toBe(false);
    expect(machine.sysfs.exists('/sys/module/nvme')).toBe(false);
    await machine.rmmod('nvme_core');
    expect(machine.leaks()).toEqual([]);
  });

  // @acceptance 5
  it('of 4.10 is destroyed when the driver cannot be registered', async () => {
    const machine = await machineOf(
      '4.10',
      {},
      {
        parts: {
          pciBus: (deps) => {
            const real = createPciBus(deps);
            const pciRegisterDriver = async (): Promise<void> => {
              throw new KernelError('EBUSY', 'nvme');
            };
            return new Proxy(real, {
              get: (target, key) => (key === 'pciRegisterDriver' ? pciRegisterDriver : Reflect.get(target, key)),
            });
          },
        },
      },
    );
    await expect(machine.modprobe('nvme')).rejects.toMatchObject({ code: 'EBUSY' });
    expect(machine.subsystems.workqueues.list().map(({ name }) => name)).not.toContain('nvme');
    await machine.rmmod('nvme_core');
    expect(machine.leaks()).toEqual([]);
  });
});

describe('the start', () => {
  it.each(ALL)('of %s says in the log what that kernel says', async (profile) => {
    const machine = await running(profile);
    const lines = log(machine).filter((line) => !line.startsWith('nvme 0000'));
    const quirk = 'nvme nvme0: Ignoring bogus Namespace Identifiers';
    const queues = 'nvme nvme0: 4/0/0 default/read/poll queues';
    expect(lines[0]).toBe(`nvme nvme0: pci function ${NVME_BDF}`);
    expect(lines.includes(queues)).toBe(!OLD.includes(profile));
    expect(lines.includes(quirk)).toBe(!OLD.includes(profile));
    expect(lines.join('\n')).not.toMatch(/WARN|BUG|fail/);
    expect(await leftBehind(machine)).toEqual([]);
  });
});
