import type { KernelOptions } from '@nvme-stack/kernel';
import { PCI_IRQ_MSIX } from '@nvme-stack/pci-bus/ports';
import { nvmeLikeCapabilities, TestFunction } from '@nvme-stack/pci-bus/testing';
import { PCI_EXP_TYPE_ENDPOINT } from '@nvme-stack/pci-function';
import { describe, expect, it } from 'vitest';
import { createTestBoard } from './fixtures/test-board.js';

/** Boot, interrupts, a reset, hot-plug both ways, suspend and resume. */
async function life(kernel: Partial<KernelOptions>): Promise<string> {
  const board = createTestBoard({ kernel, rootPorts: [{ slot: 6 }] });
  await board.boot();
  const { bus } = board;
  await board.run(async () => {
    bus.pciAllocIrqVectors(board.pdev(), 2, 4, PCI_IRQ_MSIX);
    bus.pciRequestIrq(board.pdev(), 1, () => 1, null, 'dev', 'nvme0q1');
    board.fn.endpoint.notify(1);
    await bus.pciResetFunction(board.pdev());
    board.fn.endpoint.notify(1);
  });
  const capabilities = [
    ...nvmeLikeCapabilities().filter(({ kind }) => kind !== 'express'),
    { kind: 'express', offset: 0x80, type: PCI_EXP_TYPE_ENDPOINT } as const,
  ];
  board.sim.plug({ slot: 6, behindPort: true }, new TestFunction({ capabilities }));
  await board.door.settle(1e9);
  board.sim.unplug({ slot: 6, behindPort: true });
  await board.door.settle(1e9);
  await board.run(async () => {
    await board.stack.core.dpmSuspend();
    await board.stack.core.dpmResume();
    await bus.pciFreeIrq(board.pdev(), 1, 'dev');
    bus.pciFreeIrqVectors(board.pdev());
    bus.iounmap(board.pdev(), board.bar());
    bus.pciReleaseMemRegions(board.pdev());
    await bus.pciUnregisterDriver(board.driver);
  });
  expect(board.driver.log.sort()).toEqual([
    'probe 0000:00:04.0 7',
    'probe 0000:01:00.0 7',
    'remove 0000:00:04.0',
    'remove 0000:01:00.0',
  ]);
  return board.kernel.trace.hash();
}

describe('a board’s life', () => {
  it('is the same, event for event, at every trace level and when forgotten awaits are looked for', async () => {
    const hash = await life({});
    expect(await life({})).toBe(hash);
    expect(await life({ trace: 'hash' })).toBe(hash);
    expect(await life({ strict: true })).toBe(hash);
  });

  it('is correct in whatever order a seed chooses, and the same for the same seed', async () => {
    const hashes = new Set<string>();
    for (let seed = 1; seed <= 8; seed++) {
      const hash = await life({ seed, interleave: true });
      expect(await life({ seed, interleave: true })).toBe(hash);
      hashes.add(hash);
    }
    expect(hashes.size).toBeGreaterThan(1);
  });
});
