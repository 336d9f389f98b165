/** Every part of a machine can be replaced: by the same one behind a decorator, and some by quite another. */
import { createBlkMq } from '@nvme-stack/blk-mq';
import { createDeviceCore } from '@nvme-stack/device-core';
import { createIrqs } from '@nvme-stack/irq';
import { createKernel } from '@nvme-stack/kernel';
import { tracedExecutor } from '@nvme-stack/kernel/testing';
import { createMachine, type MachineParts } from '@nvme-stack/machine';
import { createModules } from '@nvme-stack/modules';
import { createNvmeController, MemoryBlockStore } from '@nvme-stack/nvme-controller';
import { createNvmeCore } from '@nvme-stack/nvme-core';
import { createNvmePciDriver } from '@nvme-stack/nvme-pci-driver';
import { createPciBus } from '@nvme-stack/pci-bus';
import { createPlatformSim } from '@nvme-stack/platform-sim';
import { createWorkqueues } from '@nvme-stack/workqueue';
import { beforeAll, describe, expect, it } from 'vitest';
import { runScenario, SCENARIO_MACHINE, type ScenarioResult } from '../determinism/scenario.js';
import { CallCounts, counting } from './counting.js';

/** Parts that a machine makes itself; a board outside this process is none of them. */
type OwnPart = Exclude<keyof MachineParts, 'board'>;

/** Each part of a machine, decorated, and a method that a scenario cannot do without. */
const DECORATED: Record<OwnPart, readonly [part: (counts: CallCounts) => MachineParts, needed: string]> = {
  kernel: [
    (counts) => ({
      kernel: (options) =>
        createKernel({ ...options, executor: (inner) => tracedExecutor(inner, (request) => counts.add(request.what)) }),
    }),
    'park',
  ],
  workqueue: [(counts) => ({ workqueue: (deps) => counting(createWorkqueues(deps), counts) }), 'queueWork'],
  irq: [(counts) => ({ irq: (deps) => counting(createIrqs(deps), counts) }), 'genericHandleIrq'],
  deviceCore: [(counts) => ({ deviceCore: (deps) => counting(createDeviceCore(deps), counts) }), 'deviceAdd'],
  modules: [(counts) => ({ modules: (deps) => counting(createModules(deps), counts) }), 'modprobe'],
  pciBus: [(counts) => ({ pciBus: (deps) => counting(createPciBus(deps), counts) }), 'pciAllocIrqVectorsAffinity'],
  blkMq: [(counts) => ({ blkMq: (deps) => counting(createBlkMq(deps), counts) }), 'blkMqStartRequest'],
  nvmeCore: [(counts) => ({ nvmeCore: (deps) => counting(createNvmeCore(deps), counts) }), 'nvmeCoreInit'],
  nvmePciDriver: [(counts) => ({ nvmePciDriver: (deps) => counting(createNvmePciDriver(deps), counts) }), 'nvmeInit'],
  platform: [
    (counts) => ({
      platform: (deps) => {
        const sim = createPlatformSim(deps);
        const hostBridge = counting(sim.hostBridge, counts);
        return new Proxy(sim, {
          get: (target, property) => (property === 'hostBridge' ? hostBridge : Reflect.get(target, property, target)),
        });
      },
    }),
    'ioremap',
  ],
  controller: [
    (counts) => ({ controller: (description, deps) => counting(createNvmeController(description, deps), counts) }),
    'barWrite',
  ],
  blockStore: [
    (counts) => ({
      blockStore: ({ sizeBytes, readOnly }) =>
        counting(new MemoryBlockStore(new Uint8Array(sizeBytes), 0, sizeBytes, readOnly), counts),
    }),
    'write',
  ],
};

describe('a decorated part', () => {
  let plain: ScenarioResult;
  beforeAll(async () => {
    plain = await runScenario(await createMachine(SCENARIO_MACHINE));
  });

  it.each(Object.keys(DECORATED) as OwnPart[])('%s is used and changes nothing of the run', async (part) => {
    const [decorate, needed] = DECORATED[part];
    const counts = new CallCounts();
    const result = await runScenario(await createMachine(SCENARIO_MACHINE, { parts: decorate(counts) }));
    expect(counts.calls.get(needed), `${part}.${needed} of ${[...counts.calls.keys()].join(' ')}`).toBeGreaterThan(0);
    expect(result).toEqual(plain);
    expect(result).toMatchObject({ wrongBytes: 0, leaks: [] });
  });

  it('works when all are decorated at once', async () => {
    const counts = new CallCounts();
    const parts = Object.assign({}, ...Object.values(DECORATED).map(([decorate]) => decorate(counts))) as MachineParts;
    const result = await runScenario(await createMachine(SCENARIO_MACHINE, { parts }));
    expect(result).toEqual(plain);
    for (const [, needed] of Object.values(DECORATED)) expect(counts.calls.has(needed), needed).toBe(true);
  });
});
