/**
 * Memory-mapped access: a mapping remembers which function and BAR it leads to until the board changes.
 * Kernel counterpart: include/linux/io.h (readl, writel).
 */

import type { Kernel } from '@nvme-stack/kernel';
import type { MmioRegion } from '@nvme-stack/pci-bus/ports';
import type { PciFunction } from '@nvme-stack/pci-function';
import type { Board } from './board.js';
import { MMIO_READ, MMIO_WRITE } from './trace-events.js';

export class BoardMmio implements MmioRegion {
  readonly physAddr: number;
  readonly sizeBytes: number;
  unmapped = false;
  private readonly board: Board;
  private readonly kernel: Kernel;
  /** The board's generation the three below belong to. */
  private generation = 0;
  private function: PciFunction | null = null;
  private bar = 0;
  private base = 0;
  private requesterId = 0;

  constructor(board: Board, physAddr: number, sizeBytes: number) {
    this.board = board;
    this.kernel = board.kernel;
    this.physAddr = physAddr;
    this.sizeBytes = sizeBytes;
  }

  readl(offset: number): number {
    const { ex, costs, trace } = this.kernel;
    this.check(offset);
    ex.charge(costs.mmioReadNs);
    if (this.generation !== this.board.generation) this.bind();
    const fn = this.function;
    const value = fn === null ? 0xffffffff : fn.barRead(this.bar, this.base + offset, 4);
    if (trace.events) trace.event(MMIO_READ, this.base + offset, value, 4, this.requesterId);
    return value;
  }

  writel(offset: number, value: number): void {
    const { ex, costs, trace } = this.kernel;
    this.check(offset);
    ex.charge(costs.mmioWriteNs);
    if (this.generation !== this.board.generation) this.bind();
    if (trace.events) trace.event(MMIO_WRITE, this.base + offset, value, 4, this.requesterId);
    if (this.function !== null) this.function.barWrite(this.bar, this.base + offset, value, 4);
  }

  private check(offset: number): void {
    const { ex } = this.kernel;
    ex.assertAwake('mmio');
    if (offset >= 0 && offset + 4 <= this.sizeBytes && !this.unmapped) return;
    const where = `0x${offset.toString(16)} of ${this.sizeBytes} bytes`;
    ex.bug(this.unmapped ? `MMIO access to a region that is unmapped, offset ${where}` : `MMIO access at ${where}`);
  }

  private bind(): void {
    this.generation = this.board.generation;
    const hit = this.board.root.decode(this.physAddr);
    this.function = hit === null ? null : hit.slot.function;
    if (hit === null) return;
    this.bar = hit.bar;
    this.base = hit.offset;
    this.requesterId = hit.slot.requesterId;
  }
}
