/** A running QEMU as a machine's board. */
import { createPlatformQemu, createQemuClock, REAL_TIME_COSTS } from '@nvme-stack/platform-qemu';
import type { Qemu } from '@nvme-stack/platform-qemu/node';
import type { ExternalBoard } from '../ports.js';

/** How the board is used. */
export interface QemuBoardOptions {
  /** False: interrupts come by pins only. Default true. */
  readonly msi?: boolean;
}

/** The board for `createMachine(description, { parts: { board } })`; one machine per QEMU. Whoever started QEMU stops it. */
export function qemuBoard(qemu: Qemu, options: QemuBoardOptions = {}): ExternalBoard {
  const clock = createQemuClock(qemu);
  return {
    clock,
    costs: REAL_TIME_COSTS,
    host: (loop) => ({ macrotask: loop.macrotask, after: (delayNs, fn) => qemu.waitForEvent(delayNs, fn) }),
    platform: ({ kernel, irqs }) => createPlatformQemu({ kernel, irqs, qemu, clock, ...options }),
    onFailure: (listener) => qemu.onFailure(listener),
  };
}
