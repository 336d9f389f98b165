import { it } from 'vitest';
import { DMA_BIDIRECTIONAL, dmaMapPage } from '@nvme-stack/kernel';
import { PCI_IRQ_MSIX } from '@nvme-stack/pci-bus/ports';
import { createTestBoard } from './testing/test-board.js';
declare const performance: { now(): number };
declare const console: { log(s: string): void };
for (const checks of ['dma', 'off'] as const) for (const sub of [false])
it(`bench ${checks} ${sub}`, async () => {
  const board = createTestBoard({ kernel: { checks, trace: 'off', memoryBytes: 64 << 20 } });
  await board.boot();
  let n = 0;
  await board.run(async () => {
    board.bus.pciAllocIrqVectors(board.pdev(), 2, 2, PCI_IRQ_MSIX);
    for (let nr = 0; nr < 2; nr++) board.bus.pciRequestIrq(board.pdev(), nr, () => { n++; return 1 as const; }, null, 'd', 'x');
  });
  const host = board.fn.host!;
  const pages = board.kernel.memory.allocPages(64, 't');
  const buf = new Uint8Array(1 << 20);
  const arena = new Uint8Array(board.kernel.memory.bytes.buffer, 8<<20, 1<<20);
  const bar = board.bar();
  const time = (name: string, count: number, fn: (i: number) => void) => {
    for (let r = 0; r < 3; r++) { const t = performance.now(); for (let i = 0; i < count; i++) fn(i); const d = performance.now() - t; if (r === 2) console.log(`${checks} ${name}: ${(d * 1e6 / count).toFixed(1)} ns`); }
  };
  await board.run(async () => {
    dmaMapPage(board.dma(), pages, 64 * 4096, DMA_BIDIRECTIONAL);
    time('dmaRead 64', 3e6, (i) => { host.dmaRead(pages + (i & 63) * 4096 + (i & 31) * 64, buf, 0, 64); });
    time('dmaWrite 16', 3e6, (i) => { host.dmaWrite(pages + (i & 63) * 4096 + (i & 31) * 16, buf, 0, 16); });
    time('dmaWrite 4K same buffer', 1e6, (i) => { host.dmaWrite(pages + (i & 63) * 4096, arena, (i & 127) * 4096, 4096); });
    time('dmaWrite 4K other', 1e6, (i) => { host.dmaWrite(pages + (i & 63) * 4096, buf, (i & 127) * 4096, 4096); });
    time('writel', 3e6, (i) => { bar.writel((i & 63) * 4, i); });
    time('readl', 3e6, (i) => { bar.readl((i & 63) * 4); });
    time('msi post (coalesced)', 1e6, () => { host.msi(0xfee00000, 0x21); });
  });
  // delivery: from device context items
  const N = 1e6;
  let left = N;
  board.fn.deferred = () => { if (left-- > 0) { board.fn.endpoint.notify(left & 1); host.defer(); } };
  for (let r = 0; r < 3; r++) { left = N; n = 0; const t = performance.now(); await board.run(async () => host.defer()); await board.door.settle(1e12); const d = performance.now() - t; if (r === 2) console.log(`${checks} defer+notify+interrupt: ${(d * 1e6 / N).toFixed(1)} ns, handled ${n}`); }
  void sub;
}, 60000);
