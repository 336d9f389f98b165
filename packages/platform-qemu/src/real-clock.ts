/**
 * Real time, and the moments in which a machine looks at QEMU's devices: while nothing is ready, for a short time
 * after each write to one, and now and then while it is busy.
 */
import type { QemuBoard, QemuClock } from './ports.js';

/** After a write to a device its answer is waited for this long before the host may sleep. */
const EXPECT_NS = 300_000;
/** A busy machine looks at its devices this often. */
const LOOK_EVERY_NS = 100_000;

class RealClock implements QemuClock {
  look: (() => boolean) | null = null;
  private readonly qemu: QemuBoard;
  private readonly startNs: number;
  private expectUntilNs = 0;
  private lookedNs = 0;

  constructor(qemu: QemuBoard) {
    this.qemu = qemu;
    this.startNs = qemu.nowNs();
  }

  private time(): number {
    return this.qemu.nowNs() - this.startNs;
  }

  now(): number {
    const timeNs = this.time();
    if (timeNs - this.lookedNs > LOOK_EVERY_NS || this.qemu.link.raised) this.lookNow(timeNs);
    return timeNs;
  }

  expect(): void {
    this.expectUntilNs = this.time() + EXPECT_NS;
  }

  reach(deadlineNs: number): boolean {
    let timeNs = this.time();
    while (timeNs < deadlineNs) {
      if (this.lookNow(timeNs) || timeNs >= this.expectUntilNs) return false;
      timeNs = this.time();
    }
    return true;
  }

  private lookNow(timeNs: number): boolean {
    this.lookedNs = timeNs;
    this.qemu.link.hear();
    return this.look?.() ?? false;
  }
}

/** Starts the clock: its time is 0 now. */
export function createQemuClock(qemu: QemuBoard): QemuClock {
  return new RealClock(qemu);
}
