import type { MachineOptions } from '@nvme-stack/machine';
import { FAULT_STATUS, type FaultPlan } from '@nvme-stack/nvme-controller/ports';
import { createPciBus, type PciFaultPoint } from '@nvme-stack/pci-bus';
import { describe, expect, it } from 'vitest';
import { ALL, callersOf, calls, during, leftBehind, log, machineOf, NVME_BDF, OLD, state, symbols } from './bench.js';

const INVALID_QUEUE = 0x4101;
const SET_FEATURES = 0x09;
const CREATE_CQ = 0x05;

/** The PCI bus fails a step once, at its `nth` call. */
function failing(point: PciFaultPoint, errno: number, nth = 1): MachineOptions {
  let count = 0;
  const fail = (at: PciFaultPoint): number => (at === point && ++count === nth ? errno : 0);
  return { parts: { pciBus: (deps) => createPciBus({ ...deps, faults: { fail } }) } };
}

/** The controller refuses the admin commands of an opcode. */
function refusing(opcode: number, status = INVALID_QUEUE): MachineOptions {
  const plan: FaultPlan = {
    command: (sqid, _cid, op) => (sqid === 0 && op === opcode ? { kind: FAULT_STATUS, status } : null),
  };
  return { faultPlans: [plan] };
}

/** How often the function has been enabled and not disabled again. */
function enabled(machine: Awaited<ReturnType<typeof machineOf>>): number {
  return Number(machine.sysfs.read(`/sys/bus/pci/devices/${NVME_BDF}/enable`));
}

describe('a vector that cannot be had', () => {
  // nvme_pci_enable of the old kernels returns with the function enabled; what saves them is that whoever gives a dead
  // controller up disables whatever is enabled.
  // @acceptance 72 73 81
  it.each([
    ['6.12', 'nvme_pci_enable'],
    ['6.1', 'nvme_pci_enable'],
    ['4.13', 'nvme_dev_disable'],
    ['4.10', 'nvme_dev_disable'],
  ] as const)('has the function of %s disabled by %s', async (profile, by) => {
    const machine = await machineOf(profile, {}, failing('pci_alloc_irq_vectors', -28));
    const entries = await during(machine, async () => {
      await machine.modprobe('nvme');
      await machine.settle();
    });
    const [disabled, ...more] = calls(entries, 'pci_disable_device');
    expect(callersOf(entries, disabled).at(-1)).toBe(by);
    expect(more).toEqual([]);
    expect(machine.sysfs.exists('/sys/class/nvme/nvme0')).toBe(false);
    expect(enabled(machine)).toBe(0);
    expect(log(machine).join('\n')).toContain(
      profile === '6.12'
        ? `nvme ${NVME_BDF}: probe with driver nvme failed with error -28`
        : 'nvme nvme0: Removing after probe failure status: -28',
    );
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('a controller that does not come up', () => {
  // @acceptance 67 71
  it.each(['6.1', '4.13', '4.10'] as const)(
    'has the driver of %s unbound from it by a work of its own',
    async (profile) => {
      const plan: FaultPlan = {
        register: (offset, value, isWrite) => (!isWrite && offset === 0x1c ? 0xffffffff : value),
      };
      const machine = await machineOf(profile, {}, { faultPlans: [plan] });
      const entries = await during(machine, async () => {
        await machine.modprobe('nvme');
        await machine.settle();
      });
      expect(log(machine).join('\n')).toContain('nvme nvme0: Removing after probe failure status: -19');
      const order = ['nvme_reset_work', 'nvme_remove_dead_ctrl', 'nvme_remove_dead_ctrl_work', 'nvme_remove'];
      expect(symbols(entries).filter((symbol) => order.includes(symbol))).toEqual(order);
      expect(machine.sysfs.exists(`/sys/bus/pci/devices/${NVME_BDF}/driver`)).toBe(false);
      expect(machine.sysfs.exists('/sys/class/nvme/nvme0')).toBe(false);
      expect(await leftBehind(machine)).toEqual([]);
      expect(enabled(machine)).toBe(0);
    },
  );

  // @acceptance 71
  it('is no device for the driver of 6.12, whose probe says so to the bus; that is no line in the log', async () => {
    const plan: FaultPlan = {
      register: (offset, value, isWrite) => (!isWrite && offset === 0x1c ? 0xffffffff : value),
    };
    const machine = await machineOf('6.12', {}, { faultPlans: [plan] });
    const entries = await during(machine, async () => {
      await machine.modprobe('nvme');
      await machine.settle();
    });
    expect(calls(entries, 'nvme_pci_enable').length).toBe(1);
    expect(symbols(entries)).not.toContain('nvme_reset_work');
    expect(log(machine).filter((line) => /fail|error|Removing/i.test(line))).toEqual([]);
    expect(machine.sysfs.exists(`/sys/bus/pci/devices/${NVME_BDF}/driver`)).toBe(false);
    expect(machine.sysfs.exists('/sys/class/nvme/nvme0')).toBe(false);
    expect(await leftBehind(machine)).toEqual([]);
    expect(enabled(machine)).toBe(0);
  });

  // @acceptance 67
  it.each([
    ['pci_enable_device', 1, -12],
    ['pci_alloc_irq_vectors', 2, -5],
  ] as const)(
    'because of %s (call %i) ends with %i, and comes up when the driver is bound again',
    async (point, nth, errno) => {
      for (const profile of ['6.1', '4.13', '4.10'] as const) {
        const machine = await machineOf(profile, {}, failing(point, -5, nth));
        await machine.modprobe('nvme');
        await machine.settle();
        expect(log(machine).join('\n'), profile).toContain(`Removing after probe failure status: ${errno}`);
        await machine.sysfs.write('/sys/bus/pci/drivers/nvme/bind', NVME_BDF);
        await machine.settle();
        expect(state(machine)).toBe('live');
        await machine.disk('nvme0n1').write(0, new Uint8Array(4096));
        expect(await leftBehind(machine)).toEqual([]);
      }
    },
  );

  // @acceptance 67
  it.each(OLD)('of %s: what fails in probe itself is the bus to report, and nothing is left', async (profile) => {
    for (const point of ['pci_request_regions', 'ioremap'] as const) {
      const machine = await machineOf(profile, {}, failing(point, -16));
      await machine.modprobe('nvme');
      await machine.settle();
      expect(machine.sysfs.exists('/sys/class/nvme/nvme0')).toBe(false);
      expect(log(machine).join('\n')).not.toContain('Removing');
      expect(await leftBehind(machine)).toEqual([]);
    }
  });
});

describe('a controller without I/O queues', () => {
  // @acceptance 61 63
  it.each([
    ['6.12', SET_FEATURES],
    ['6.1', SET_FEATURES],
    ['4.13', SET_FEATURES],
    ['4.10', SET_FEATURES],
    ['6.12', CREATE_CQ],
    ['6.1', CREATE_CQ],
    ['4.13', CREATE_CQ],
    ['4.10', CREATE_CQ],
  ] as const)('stays on %s for its admin queue alone (opcode %i refused)', async (profile, opcode) => {
    const machine = await machineOf(profile, {}, refusing(opcode));
    const entries = await during(machine, async () => {
      await machine.modprobe('nvme');
      await machine.settle();
    });
    expect(log(machine)).toContain('nvme nvme0: IO queues not created');
    expect(state(machine)).toBe('live');
    expect(machine.sysfs.exists('/sys/block/nvme0n1')).toBe(false);
    expect(machine.subsystems.nvmeCore.controllers[0].tagset).toBeNull();
    const seen = symbols(entries);
    expect(seen.includes('nvme_kill_queues')).toBe(profile !== '6.12');
    expect(seen.includes('nvme_scan_work')).toBe(false);
    // 4.10 asks such a controller for no events; later kernels do, where queues were at least allocated.
    const asks = !OLD.includes(profile) || (profile === '4.13' && opcode === CREATE_CQ);
    expect(seen.includes('nvme_pci_submit_async_event')).toBe(asks);
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('what older kernels do not have', () => {
  it.each(ALL)('%s', async (profile) => {
    const machine = await machineOf(profile);
    await machine.modprobe('nvme');
    await machine.settle();
    const isOld = OLD.includes(profile);
    const has = (path: string): boolean => machine.sysfs.exists(path);
    expect(has('/sys/class/nvme-subsystem')).toBe(!isOld);
    expect(has('/sys/class/nvme-generic')).toBe(!isOld);
    expect(has('/sys/class/nvme/nvme0/ng0n1')).toBe(!isOld);
    expect(has('/sys/class/hwmon')).toBe(!isOld);
    const types = machine.uevents.filter(({ env }) => env.NVME_TRTYPE !== undefined);
    expect(types.length > 0).toBe(!isOld);
    expect(machine.uevents.some(({ env }) => env.NVME_EVENT === 'connected')).toBe(!isOld);
    expect(await leftBehind(machine)).toEqual([]);
  });
});
