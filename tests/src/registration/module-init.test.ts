/** What nvme_init makes and gives back, on the kernels that differ in it; the bus has no devices. */
import { createBlkMq } from '@nvme-stack/blk-mq';
import { createDeviceCore, createDmi } from '@nvme-stack/device-core';
import { createIrqs } from '@nvme-stack/irq';
import type { KernelProfile } from '@nvme-stack/kernel';
import { createTestKernel } from '@nvme-stack/kernel/testing';
import { createModules } from '@nvme-stack/modules';
import { createNvmeCore } from '@nvme-stack/nvme-core';
import { createNvmePciDriver } from '@nvme-stack/nvme-pci-driver';
import { createPciBus } from '@nvme-stack/pci-bus';
import { FakeHostBridge } from '@nvme-stack/pci-bus/testing';
import { createWorkqueues } from '@nvme-stack/workqueue';
import { WQ_MEM_RECLAIM, WQ_UNBOUND } from '@nvme-stack/workqueue/ports';
import { describe, expect, it } from 'vitest';

interface Failures {
  readonly workqueue?: string;
  readonly driverGroups?: number;
}

/** Both modules on a machine of that profile whose PCI bus is empty; nvme_core is loaded. */
async function loaded(profile: KernelProfile, failures: Failures = {}) {
  const { kernel, door } = createTestKernel({ profile });
  const workqueues = createWorkqueues({ kernel, allocWorkqueueFails: (name) => name === failures.workqueue });
  const faults = {
    fail: (point: string) => (point === 'driver_register/driver_add_groups:nvme' ? (failures.driverGroups ?? 0) : 0),
  };
  const deviceCore = createDeviceCore({ kernel, workqueues, faults });
  const irqs = createIrqs({ kernel });
  const modules = createModules({ kernel, deviceCore, workqueues });
  const pciBus = createPciBus({ kernel, deviceCore, irqs, workqueues });
  const blkMq = createBlkMq({ kernel, deviceCore, workqueues, irqs });
  const nvmeCore = createNvmeCore({ kernel, blkMq, deviceCore, workqueues });
  const dmi = createDmi({ kernel, deviceCore }, {});
  const driver = createNvmePciDriver({ kernel, nvmeCore, pciBus, blkMq, deviceCore, irqs, workqueues, dmi });
  const run = <T>(body: () => Promise<T>): Promise<T> => door.call('insmod', body);
  const info = { author: 'Matthew Wilcox', license: 'GPL', version: '1.0' };
  await run(async () => {
    await pciBus.pciHostProbe(new FakeHostBridge({ kernel, slots: [] }));
    await modules.insmod({
      name: 'nvme_core',
      dependsOn: [],
      params: nvmeCore.params,
      info,
      initSymbol: 'nvme_core_init',
      init: (params) => nvmeCore.nvmeCoreInit(params),
      exit: () => nvmeCore.nvmeCoreExit(),
    });
  });
  kernel.live.baseline();
  const before = workqueues.list().length;
  return {
    kernel,
    modules,
    run,
    registered: () => deviceCore.sysfs.exists('/sys/bus/pci/drivers/nvme'),
    made: () => workqueues.list().slice(before),
    insmod: () =>
      run(() =>
        modules.insmod({
          name: 'nvme',
          dependsOn: ['nvme_core'],
          params: driver.params,
          info,
          initSymbol: 'nvme_init',
          init: (params) => driver.nvmeInit(params),
          exit: () => driver.nvmeExit(),
        }),
      ),
  };
}

describe('nvme_init', () => {
  // @acceptance 4
  it.each(['4.13', '6.1', '6.12'] as const)(
    'makes no workqueue since 4.13, and registers the driver (%s)',
    async (profile) => {
      const test = await loaded(profile);
      await test.insmod();
      expect([test.made(), test.registered()]).toEqual([[], true]);
      await test.run(() => test.modules.rmmod('nvme'));
      expect(test.registered()).toBe(false);
      expect(test.kernel.live.leaks()).toEqual([]);
    },
  );

  // @acceptance 5 44
  it('makes the workqueue nvme and registers the driver (4.10); nvme_exit takes both back', async () => {
    const test = await loaded('4.10');
    await test.insmod();
    expect(test.made().map(({ name, flags, hasRescuer }) => [name, flags, hasRescuer])).toEqual([
      ['nvme', WQ_UNBOUND | WQ_MEM_RECLAIM, true],
    ]);
    expect(test.registered()).toBe(true);
    await test.run(() => test.modules.rmmod('nvme'));
    expect([test.made(), test.registered()]).toEqual([[], false]);
    expect(test.kernel.live.leaks()).toEqual([]);
  });

  // @acceptance 5
  it('returns -ENOMEM without the workqueue, and registers nothing (4.10)', async () => {
    const test = await loaded('4.10', { workqueue: 'nvme' });
    await expect(test.insmod()).rejects.toMatchObject({ code: 'ENOMEM' });
    expect([test.made(), test.registered(), test.modules.list().map(({ name }) => name)]).toEqual([
      [],
      false,
      ['nvme_core'],
    ]);
    expect(test.kernel.live.leaks()).toEqual([]);
  });

  // @acceptance 5
  it('destroys the workqueue when the driver cannot be registered (4.10)', async () => {
    const test = await loaded('4.10', { driverGroups: -12 });
    await expect(test.insmod()).rejects.toMatchObject({ code: 'ENOMEM' });
    expect([test.made(), test.registered()]).toEqual([[], false]);
    const symbols = test.kernel.trace.entries.map(({ symbol }) => symbol);
    expect(symbols.lastIndexOf('destroy_workqueue')).toBeGreaterThan(symbols.indexOf('driver_register'));
    expect(test.kernel.live.leaks()).toEqual([]);
  });
});
