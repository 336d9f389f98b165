import { describe, expect, it } from 'vitest';
import { createPrintk, devPrintk, hexText } from './printk.js';
import { createTestKernel } from './testing/test-kernel.js';

const silent = { events: false, event: () => {} };

describe('the kernel log', () => {
  it('prints as dmesg does: five-wide seconds, microseconds, every line stamped', () => {
    let now = 1_234_567_899;
    const log = createPrintk({ now: () => now }, silent);
    log.print('info', 'nvme nvme0: pci function 0000:00:04.0\n');
    now = 123_456_000_000_999;
    log.print('err', 'one\ntwo');
    expect(log.dmesg()).toEqual([
      '[    1.234567] nvme nvme0: pci function 0000:00:04.0',
      '[123456.000000] one',
      '[123456.000000] two',
    ]);
    expect(log.lines[0]).toEqual({
      timeNs: 1_234_567_899,
      level: 'info',
      text: 'nvme nvme0: pci function 0000:00:04.0',
    });
  });

  it('tells the trace, and prefixes device messages', () => {
    const { kernel } = createTestKernel();
    const before = kernel.trace.hash();
    devPrintk(kernel, 'warn', 'nvme', 'nvme0', 'resetting controller');
    expect(kernel.printk.dmesg()).toEqual(['[    0.000000] nvme nvme0: resetting controller']);
    const [entry] = kernel.trace.entries;
    expect([entry?.kind, entry?.symbol, entry?.args, entry?.text]).toEqual([
      'printk',
      'console',
      [4],
      'nvme nvme0: resetting controller',
    ]);
    expect(kernel.trace.hash()).not.toBe(before);
  });

  it('prints hexadecimal', () => {
    expect([hexText(0), hexText(255), hexText(0x1f, 4)]).toEqual(['0x0', '0xff', '0x001f']);
  });
});
