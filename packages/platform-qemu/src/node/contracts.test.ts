/** The platform's ports on a real QEMU: what every platform must do. */
import { createIrqs } from '@nvme-stack/irq';
import { createTestKernel, testHostLoop } from '@nvme-stack/kernel/testing';
import {
  createPciStack,
  type MmioFixture,
  mmioRegionContract,
  pciConfigAccessContract,
} from '@nvme-stack/pci-bus/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPlatformQemu, createQemuClock, REAL_TIME_COSTS } from '../index.js';
import { type Qemu, qemuMissing, startQemu } from './start.js';

const PORT = 3;
const SLOT = 1;
/** AQA keeps whatever is written to it. */
const SCRATCH = 0x24;
const COMMAND = 0x04;
const runner = { describe, it, expect };

async function boot(qemu: Qemu) {
  const clock = createQemuClock(qemu);
  const host = { macrotask: testHostLoop.macrotask, after: qemu.waitForEvent };
  const { kernel, door } = createTestKernel({ clock, costs: REAL_TIME_COSTS, host });
  const irqs = createIrqs({ kernel });
  const platform = createPlatformQemu({ kernel, irqs, qemu, clock });
  const { bus } = createPciStack(kernel, irqs);
  const run = <T>(body: () => T | Promise<T>): Promise<T> => door.call('test', async () => body());
  await run(() => bus.pciHostProbe(platform.hostBridge));
  return { kernel, platform, bus, run };
}

describe.skipIf(qemuMissing() !== null)('QEMU behind the ports', () => {
  let qemu: Qemu;
  let board: Awaited<ReturnType<typeof boot>>;

  beforeAll(async () => {
    qemu = await startQemu({
      controllers: [
        { slot: SLOT, serial: 'root', namespaces: [{ sizeBytes: 1 << 20 }] },
        { slot: PORT, behindPort: true, serial: 'port', namespaces: [{ sizeBytes: 1 << 20 }] },
      ],
    });
    board = await boot(qemu);
  });

  afterAll(() => qemu?.stop());

  pciConfigAccessContract(runner, 'QEMU', () => ({
    config: board.platform.hostBridge.config,
    present: { bus: 0, devfn: SLOT * 8 },
    absent: { bus: 0, devfn: 9 * 8 },
    run: async (body) => board.run(body),
  }));

  it('hides the devices that take its interrupt messages', async () => {
    await board.run(() => {
      const { config } = board.platform.hostBridge;
      for (let fn = 0; fn < 8; fn++) expect(config.read(0, 0x19 * 8 + fn, 0, 4)).toBe(0xffffffff);
    });
    expect(board.bus.devices.map(({ dev }) => dev.name)).toEqual([
      '0000:00:00.0',
      '0000:00:01.0',
      '0000:00:03.0',
      '0000:00:1f.0',
      '0000:00:1f.2',
      '0000:00:1f.3',
      '0000:01:00.0',
    ]);
  });

  it('shows a function’s registers to the bench', () => {
    const fn = board.platform.functionAt({ slot: SLOT });
    expect(fn?.configRead(0, 4)).toBe(0x00101b36);
    expect(board.platform.functionAt({ slot: 9 })).toBe(null);
    expect(board.platform.functionAt({ slot: PORT, behindPort: true })?.configRead(0, 2)).toBe(0x1b36);
  });

  it('refuses what cannot be plugged in or pulled out', () => {
    const { platform } = board;
    expect(() => platform.unplug({ slot: SLOT })).toThrow(
      "slot 1 is on QEMU's root bus, where nothing can be unplugged; allowed: root ports",
    );
    expect(() => platform.unplug({ slot: 9, behindPort: true })).toThrow(
      'slot 9 holds no card; allowed: a root port with a card (slot 3)',
    );
    expect(() => platform.replug({ slot: PORT, behindPort: true }, {})).toThrow(
      'slot 3 takes no card; allowed: none, the board has no empty root port',
    );
    expect(() => platform.plug({ slot: 9 }, {} as never)).toThrow('slot 9 cannot take a function of this process');
  });
});

describe.skipIf(qemuMissing() !== null)('a BAR of QEMU’s', () => {
  const started: Qemu[] = [];

  afterAll(async () => {
    for (const qemu of started) await qemu.stop();
  });

  mmioRegionContract(runner, 'QEMU', async (): Promise<MmioFixture> => {
    const qemu = await startQemu({
      controllers: [{ slot: PORT, behindPort: true, namespaces: [{ sizeBytes: 1 << 20 }] }],
    });
    started.push(qemu);
    const { bus, platform, run } = await boot(qemu);
    const pdev = bus.pciGetDevice('0000:01:00.0');
    if (pdev === null) throw new Error('there is no card behind the port');
    const region = await run(async () => {
      await bus.pciEnableDeviceMem(pdev);
      return bus.ioremap(pdev, 0, 0x1000);
    });
    if (region === null) throw new Error('BAR 0 cannot be mapped');
    return {
      region,
      scratchOffset: SCRATCH,
      decode: (on) => bus.pciWriteConfigWord(pdev, COMMAND, on ? 2 : 0),
      unplug: () => platform.unplug({ slot: PORT, behindPort: true }),
      run: async (body) => run(body),
    };
  });
});
