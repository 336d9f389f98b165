/** From insmod to nvme_probe, on every kernel: who calls whom, and in what order things are seen. */
import { createMachine, type Machine, type MachineParts, PROFILES } from '@nvme-stack/machine';
import { createNvmeController } from '@nvme-stack/nvme-controller';
import { describe, expect, it } from 'vitest';
import { stateOf } from '../controller-state.js';
import { pathTo, spanOf, symbolsSince } from './call-paths.js';
import { SriovController } from './sriov-controller.js';

const BDF = '0000:00:03.0';
const DRIVER = '/sys/bus/pci/drivers/nvme';

function machineOf(profile: (typeof PROFILES)[number], parts: MachineParts = {}): Promise<Machine> {
  return createMachine({ profile, cpus: 2, nvme: [{ preset: 'qemu-7.2', namespaces: [{ sizeMiB: 4 }] }] }, { parts });
}

/** The way from the module loader to the walk over the bus's devices. */
const TO_DEVICES = [
  'do_init_module',
  'do_one_initcall',
  'nvme_init',
  '__pci_register_driver',
  'driver_register',
  'bus_add_driver',
  'driver_attach',
  'bus_for_each_dev',
  '__driver_attach',
];
const BIND = ['really_probe', 'pci_device_probe', 'local_pci_probe', 'nvme_probe'];

/** The way to nvme_probe when the driver arrives. */
const DRIVER_ARRIVES: Record<string, readonly string[]> = {
  '6.12': [
    'async_run_entry_fn',
    '__driver_attach_async_helper',
    'driver_probe_device',
    '__driver_probe_device',
    ...BIND,
  ],
  '6.1': [...TO_DEVICES, 'driver_probe_device', '__driver_probe_device', ...BIND],
  '4.13': [...TO_DEVICES, 'driver_probe_device', ...BIND],
  '4.10': [...TO_DEVICES, 'driver_probe_device', ...BIND],
};

describe.each(PROFILES)('on %s', (profile) => {
  // @acceptance 21
  it('nvme_probe is reached from bus_add_driver, before the driver has its files and its uevent', async () => {
    const machine = await machineOf(profile);
    await machine.modprobe('nvme');
    const { entries } = machine.trace;
    const path = pathTo(entries, 'nvme_probe');
    const wanted = DRIVER_ARRIVES[profile] as readonly string[];
    expect(path.slice(-wanted.length)).toEqual(wanted);
    const attach = pathTo(entries, '__driver_attach');
    expect(attach).toEqual(TO_DEVICES);
    // The driver's uevent comes when it has all its files, whoever is probing meanwhile.
    const [probe, module] = ['nvme_probe', 'module_add_driver'].map((symbol) => spanOf(entries, symbol));
    const event = machine.uevents.find(
      ({ action, devpath }) => action === 'add' && devpath === '/bus/pci/drivers/nvme',
    );
    expect(event).toBeDefined();
    expect(event?.timeNs).toBeGreaterThanOrEqual(module?.endNs as number);
    if (profile !== '6.12') expect(probe?.endNs).toBeLessThanOrEqual(module?.startNs as number);
    else expect(probe?.endNs).toBeGreaterThan(module?.startNs as number);
  });

  // @acceptance 21
  it('nvme_probe has a second way, when the device arrives at a driver that is there', async () => {
    const machine = await machineOf(profile);
    await machine.modprobe('nvme');
    const from = machine.trace.entries.length;
    await machine.plug({ serial: 'second', namespaces: [{ sizeMiB: 1 }] });
    await machine.settle();
    const path = pathTo(machine.trace.entries, 'nvme_probe', from);
    const attach = path.indexOf('device_attach');
    expect(path.slice(attach, attach + 4)).toEqual([
      'device_attach',
      '__device_attach',
      'bus_for_each_drv',
      '__device_attach_driver',
    ]);
    expect(path.slice(-BIND.length)).toEqual(BIND);
    expect(path).not.toContain('bus_add_driver');
    expect(stateOf(machine, 'nvme1')).toBe('live');
  });

  // @acceptance 2 6
  it('loading runs nvme_init once and unloading nvme_exit, which unbinds every device', async () => {
    const machine = await machineOf(profile);
    const { entries } = machine.trace;
    const count = (symbol: string): number =>
      entries.filter((entry) => entry.kind === 'function' && entry.symbol === symbol).length;
    await machine.modprobe('nvme');
    await machine.settle();
    expect([count('nvme_core_init'), count('nvme_init'), count('nvme_exit')]).toEqual([1, 1, 0]);
    expect(pathTo(entries, 'nvme_init')).toEqual(['do_init_module', 'do_one_initcall', 'nvme_init']);
    await machine.rmmod('nvme');
    expect([count('nvme_init'), count('nvme_exit'), count('nvme_remove'), count('nvme_core_exit')]).toEqual([
      1, 1, 1, 0,
    ]);
    expect(pathTo(entries, 'nvme_remove').slice(0, 2)).toEqual(['nvme_exit', 'pci_unregister_driver']);
    expect(spanOf(entries, 'nvme_remove').endNs).toBeLessThanOrEqual(spanOf(entries, 'nvme_exit').endNs);
    expect(machine.sysfs.exists(`/sys/bus/pci/devices/${BDF}/driver`)).toBe(false);
    expect(machine.sysfs.exists(DRIVER)).toBe(false);
    await machine.rmmod('nvme_core');
    expect(count('nvme_core_exit')).toBe(1);
    expect(machine.leaks()).toEqual([]);
  });

  // @acceptance 3
  it('modinfo shows author, license and version, and sysfs the version', async () => {
    const machine = await machineOf(profile);
    const { modules } = machine.subsystems;
    for (const name of ['nvme', 'nvme_core']) {
      expect(modules.modinfo(name)).toMatchObject({
        author: 'Matthew Wilcox <willy@linux.intel.com>',
        license: 'GPL',
        version: '1.0',
      });
    }
    await machine.modprobe('nvme');
    for (const name of ['nvme', 'nvme_core']) expect(machine.sysfs.read(`/sys/module/${name}/version`)).toBe('1.0\n');
  });

  // @acceptance 51
  it('nvme_core_init makes its workqueues, numbers for its nodes, and its classes; nvme_core_exit takes them back', async () => {
    const machine = await machineOf(profile);
    const { workqueues, modules } = machine.subsystems;
    const queues = (): string[] => workqueues.list().flatMap(({ name }) => (name.startsWith('nvme') ? [name] : []));
    const classes = (): string[] => machine.sysfs.list('/sys/class').filter((name) => name.startsWith('nvme'));
    const majors = (): number =>
      machine.procfs
        .read('/proc/devices')
        .split('\n')
        .filter((line) => / nvme/.test(line)).length;
    expect([queues(), classes(), majors()]).toEqual([[], [], 0]);
    await machine.task('modprobe', () => modules.modprobe('nvme_core'));
    const made: Record<string, readonly string[]> = {
      '6.12': ['nvme-wq', 'nvme-reset-wq', 'nvme-delete-wq'],
      '6.1': ['nvme-wq', 'nvme-reset-wq', 'nvme-delete-wq'],
      '4.13': ['nvme-wq'],
      '4.10': [],
    };
    expect(queues()).toEqual(made[profile]);
    expect(classes()).toContain('nvme');
    expect(majors()).toBeGreaterThan(0);
    await machine.rmmod('nvme_core');
    expect([queues(), classes(), majors()]).toEqual([[], [], 0]);
    expect(machine.leaks()).toEqual([]);
  });

  // @acceptance 23 24
  it('the device reports class 01h, subclass 08h, interface 02h in bytes 09h to 0Bh, which enumeration reads', async () => {
    const machine = await machineOf(profile);
    const config = await machine.task('cat', async ({ deviceCore }) =>
      deviceCore.sysfs.read(`/sys/bus/pci/devices/${BDF}/config`),
    );
    expect([0x0b, 0x0a, 0x09].map((offset) => config.charCodeAt(offset))).toEqual([0x01, 0x08, 0x02]);
    expect(machine.sysfs.read(`/sys/bus/pci/devices/${BDF}/class`)).toBe('0x010802\n');
    // pci_setup_device takes the class and the revision in one read, of the four bytes at 08h.
    const { entries } = machine.trace;
    const [bdf, offset] = [3 << 3, 0x08];
    const first = entries.find(
      ({ symbol, args }) => symbol === 'pci_cfg_read' && args[0] === bdf && args[1] === offset,
    );
    expect(first?.args.slice(2)).toEqual([0x01080202, 4]);
  });

  // @acceptance 8 9 10 11 12
  it('every callback of nvme_driver is reached by the event it is for', async () => {
    const machine = await machineOf(profile, {
      controller: (description, deps) => new SriovController(createNvmeController(description, deps)),
    });
    const { entries } = machine.trace;
    const during = async (event: () => Promise<unknown>): Promise<Set<string>> => {
      const from = entries.length;
      await event();
      await machine.settle();
      return symbolsSince(entries, from);
    };
    expect(await during(() => machine.modprobe('nvme'))).toContain('nvme_probe');
    expect(machine.sysfs.readlink(`/sys/bus/pci/devices/${BDF}/driver`)).toMatch(/drivers\/nvme$/);
    expect(await during(() => machine.suspend())).toContain('nvme_suspend');
    expect(await during(() => machine.resume())).toContain('nvme_resume');
    const reset = await during(() => machine.sysfs.write(`/sys/bus/pci/devices/${BDF}/reset`, '1'));
    expect(reset).toContain('nvme_reset_prepare');
    expect(reset).toContain('nvme_reset_done');
    const { pdev } = machine.device(BDF);
    if (pdev === null) throw new Error('no device');
    const recovery = await during(() => machine.task('aer', ({ pciBus }) => pciBus.pcieDoRecovery(pdev, 'frozen')));
    for (const symbol of ['nvme_error_detected', 'nvme_slot_reset', 'nvme_error_resume'])
      expect(recovery).toContain(symbol);
    const configured = await during(() => machine.sysfs.write(`/sys/bus/pci/devices/${BDF}/sriov_numvfs`, '1'));
    expect(configured).toContain(profile.startsWith('4') ? 'nvme_pci_sriov_configure' : 'pci_sriov_configure_simple');
    expect(await during(() => machine.sysfs.write(`${DRIVER}/unbind`, BDF))).toContain('nvme_remove');
    await machine.sysfs.write(`${DRIVER}/bind`, BDF);
    expect(await during(() => machine.shutdown())).toContain('nvme_shutdown');
  });
});
