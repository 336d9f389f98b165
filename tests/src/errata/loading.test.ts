/** What texts about loading the driver leave open or get wrong: errata 1, 2, 9, 10 and 12. */
import { KernelError } from '@nvme-stack/kernel';
import { PROFILES } from '@nvme-stack/machine';
import { createPciBus } from '@nvme-stack/pci-bus';
import { describe, expect, it } from 'vitest';
import { stateOf } from '../controller-state.js';
import { at, eventArgs, firstNs, machineOf, pathTo, roadTo, taskTrees } from './looking.js';

const BDF = '0000:00:03.0';

describe.each(PROFILES)('erratum 1, how nvme_probe is reached, on %s', (profile) => {
  it('bus_add_driver calls driver_attach, before module_add_driver, driver_add_groups and the KOBJ_ADD uevent', async () => {
    await using machine = await machineOf(profile);
    await machine.modprobe('nvme');
    await machine.settle();
    const { entries } = machine.trace;
    const trees = taskTrees(entries);
    expect(roadTo(trees, 'driver_attach').slice(-4)).toEqual([
      '__pci_register_driver',
      'driver_register',
      'bus_add_driver',
      'driver_attach',
    ]);
    const loaded = entries.slice(at(entries, 'nvme_init'));
    expect(firstNs(loaded, 'driver_attach')).toBeLessThan(firstNs(loaded, 'module_add_driver'));
    expect(firstNs(loaded, 'module_add_driver')).toBeLessThan(firstNs(loaded, 'driver_add_groups'));
    const added = machine.uevents.find(
      ({ action, devpath }) => action === 'add' && devpath === '/bus/pci/drivers/nvme',
    );
    expect(firstNs(loaded, 'nvme_probe')).toBeLessThan(added?.timeNs ?? 0);
    const road = roadTo(trees, 'nvme_probe');
    expect(road.slice(-4)).toEqual(['really_probe', 'pci_device_probe', 'local_pci_probe', 'nvme_probe']);
    expect(road[0]).toBe(profile === '6.12' ? 'process_one_work' : 'do_init_module');
    expect(road.includes('bus_add_driver')).toBe(profile !== '6.12');
  });
});

describe.each(PROFILES)('erratum 2, nvme_probe and nvme_reset_work, on %s', (profile) => {
  it('probe never calls nvme_reset_work: it queues it, or on 6.12 does the work itself', async () => {
    await using machine = await machineOf(profile);
    await machine.modprobe('nvme');
    await machine.settle();
    const trees = taskTrees(machine.trace.entries);
    const probe = pathTo(trees, 'nvme_probe').slice(-1);
    expect(roadTo(probe, 'nvme_reset_work')).toEqual([]);
    const makes = roadTo(trees, 'nvme_setup_io_queues');
    if (profile === '6.12') {
      expect(makes).toContain('nvme_probe');
      expect(roadTo(trees, 'nvme_reset_work')).toEqual([]);
    } else {
      expect(makes).toContain('nvme_reset_work');
      expect(pathTo(trees, 'nvme_reset_work')[0]?.entry.task).toMatch(/^kworker\//);
      const works = machine.trace.entries.filter(({ symbol }) => symbol === 'workqueue_queue_work');
      const queued = works.find(({ text }) => text === 'nvme_reset_work');
      expect(queued?.task).toBe(probe[0]?.entry.task);
    }
  });
});

describe('erratum 9, the class code is not the only criterion', () => {
  // @acceptance 25
  it.each(PROFILES)(
    'a device of class 0x010802 that is meant for another driver is not bound (%s)',
    async (profile) => {
      await using machine = await machineOf(profile);
      expect(machine.sysfs.read(`/sys/bus/pci/devices/${BDF}/class`)).toBe('0x010802\n');
      await machine.sysfs.write(`/sys/bus/pci/devices/${BDF}/driver_override`, 'vfio-pci');
      await machine.modprobe('nvme');
      await machine.settle();
      expect(roadTo(taskTrees(machine.trace.entries), 'nvme_probe')).toEqual([]);
      expect(machine.sysfs.exists('/sys/class/nvme/nvme0')).toBe(false);
      await machine.sysfs.write(`/sys/bus/pci/devices/${BDF}/driver_override`, 'nvme');
      await machine.sysfs.write('/sys/bus/pci/drivers_probe', BDF);
      await machine.settle();
      expect(stateOf(machine)).toBe('live');
    },
  );
});

describe('erratum 10, nobody hands Linux a list of devices', () => {
  // @acceptance 22
  it('asks for the vendor in every slot of the bus, and then reads the class of what is there from configuration space', async () => {
    await using machine = await machineOf('6.12');
    const reads = eventArgs(machine.trace.entries, 'pci_cfg_read');
    const calls = (symbol: string) => machine.trace.entries.filter((entry) => entry.symbol === symbol).length;
    expect(calls('pci_scan_slot')).toBe(32);
    expect(calls('pci_bus_read_dev_vendor_id')).toBeGreaterThanOrEqual(32);
    const nvme = reads.filter(([bdf]) => bdf === 3 << 3).map(([, register]) => register);
    expect(nvme.indexOf(0)).toBe(0);
    expect(nvme.indexOf(8)).toBeGreaterThan(0);
  });
});

describe('erratum 12, no vector to be had', () => {
  // @acceptance 73
  it.each(PROFILES)(
    'is an early return that leaves the device enabled on 4.10 and 4.13, and not later (%s)',
    async (profile) => {
      await using machine = await machineOf(
        profile,
        {},
        {
          parts: {
            pciBus: (deps) => {
              const bus = createPciBus(deps);
              const none = (): never => {
                throw new KernelError('ENOSPC', 'no vector is left');
              };
              return Object.assign(bus, { pciAllocIrqVectors: none, pciAllocIrqVectorsAffinity: none });
            },
          },
        },
      );
      await machine.modprobe('nvme');
      await machine.settle();
      const old = profile === '4.10' || profile === '4.13';
      expect(machine.sysfs.exists('/sys/class/nvme/nvme0')).toBe(false);
      const trees = taskTrees(machine.trace.entries);
      expect(roadTo(trees, 'pci_enable_device_mem')).toContain('nvme_pci_enable');
      const enable = pathTo(trees, 'nvme_pci_enable').slice(-1);
      expect(roadTo(enable, 'pci_disable_device').length > 0).toBe(!old);
      // What tears down a controller that never came up finds the device enabled, and disables it.
      if (old) expect(roadTo(trees, 'pci_disable_device')).toContain('nvme_dev_disable');
      expect(machine.sysfs.read(`/sys/bus/pci/devices/${BDF}/enable`)).toBe('0\n');
    },
  );
});
