/** A slot takes any PCI function: the NVMe controller behind a logging middleware, or something that is no NVMe at all. */
import { createMachine } from '@nvme-stack/machine';
import { createNvmeController } from '@nvme-stack/nvme-controller';
import { tracedPciFunction } from '@nvme-stack/pci-function/testing';
import { describe, expect, it } from 'vitest';
import { runScenario, SCENARIO_MACHINE } from '../determinism/scenario.js';
import { Adder } from './adder.js';
import { adderModule } from './adder-driver.js';

const SLOT = '0000:00:03.0';

describe('the controller behind a logging middleware', () => {
  it('runs the scenario, and the log tells what was done to it', async () => {
    const log: string[] = [];
    const machine = await createMachine(SCENARIO_MACHINE, {
      parts: {
        controller: (description, deps) =>
          tracedPciFunction(createNvmeController(description, deps), (line) => log.push(line)),
      },
    });
    const result = await runScenario(machine);
    expect(result).toMatchObject({ wrongBytes: 0, leaks: [] });
    expect(log[0]).toBe('attach');
    // CC with EN = 1, at insmod and after the reset; AQA is written before it.
    const enables = log.filter((line) => line === 'bar0 write 0x14 4 = 0x460061');
    expect(enables.length).toBe(2);
    expect(log.indexOf('bar0 write 0x24 4 = 0x1f001f')).toBeLessThan(log.indexOf(enables[0] as string));
    expect(log).toContain('bar0 write 0x24 4 = 0x1f001f');
    expect(log.filter((line) => line.startsWith('bar0 write 0x1008 4')).length).toBeGreaterThan(0);
  });
});

describe('a slot with an adder', () => {
  it('is left alone by nvme and driven by a module of one’s own', async () => {
    const adders: Adder[] = [];
    const machine = await createMachine(SCENARIO_MACHINE, {
      parts: {
        controller: () => {
          const adder = new Adder();
          adders.push(adder);
          return adder;
        },
      },
    });
    await machine.modprobe('nvme');
    expect(() => machine.disk('nvme0n1')).toThrow('there is no disk nvme0n1');
    expect(machine.sysfs.read(`/sys/bus/pci/devices/${SLOT}/vendor`)).toBe('0xcafe\n');

    const sums: number[] = [];
    await machine.insmod(adderModule(machine.subsystems.pciBus, [2, 58], sums));
    await machine.settle();
    expect(sums).toEqual([40 + 2, 42 + 58]);
    expect(adders[0]?.interrupts).toBe(2);
    expect(machine.sysfs.readlink(`/sys/bus/pci/devices/${SLOT}/driver`)).toContain('adder');
    await machine.rmmod('adder');
    await machine.rmmod('nvme');
    await machine.rmmod('nvme_core');
    expect(machine.leaks()).toEqual([]);
  });
});
