import { KernelError } from '@nvme-stack/kernel';
import { describe, expect, it } from 'vitest';
import { createTestCore } from './fixtures/test-core.js';
import type { Device } from './ports.js';
import { addTestDevice, TestBus, testDriver } from './testing.js';

/** A port, a controller below it and a sibling; each notes what it is told. */
async function powerTree() {
  const test = createTestCore();
  const log: string[] = [];
  let refuses = '';
  const note = (what: string) => async (dev: Device) => {
    if (what === 'suspend' && dev.name === refuses) throw new KernelError('EBUSY', 'not now');
    log.push(`${what} ${dev.name}`);
  };
  const bus = new TestBus();
  const pm = { suspend: note('suspend'), resume: note('resume') };
  await test.run(async () => {
    test.core.busRegister(bus);
    await test.core.driverRegister(testDriver(bus, 'drv', 'default', { pm, shutdown: note('shutdown') }));
    const port = await addTestDevice(test.core, bus, 'port', 'drv');
    await addTestDevice(test.core, bus, 'ctrl', 'drv', { parent: port });
    await addTestDevice(test.core, bus, 'other', 'drv');
  });
  return {
    ...test,
    log,
    refuse: (name: string) => {
      refuses = name;
    },
  };
}

describe('power', () => {
  it('suspends children first and resumes parents first', async () => {
    const { core, run, log } = await powerTree();
    await run(() => core.dpmSuspend());
    await run(() => core.dpmResume());
    expect(log).toEqual([
      'suspend other',
      'suspend ctrl',
      'suspend port',
      'resume port',
      'resume ctrl',
      'resume other',
    ]);
  });

  it('a device that refuses to sleep wakes those already asleep', async () => {
    const { core, run, log, refuse, dmesg } = await powerTree();
    refuse('port');
    await expect(run(() => core.dpmSuspend())).rejects.toMatchObject({ code: 'EBUSY' });
    expect(log).toEqual(['suspend other', 'suspend ctrl', 'resume ctrl', 'resume other']);
    expect(dmesg()).toEqual(['drv port: PM: failed to suspend: error -16']);
  });

  it('shuts down the last registered first', async () => {
    const { core, run, log } = await powerTree();
    await run(() => core.deviceShutdown());
    expect(log).toEqual(['shutdown other', 'shutdown ctrl', 'shutdown port']);
  });
});
