/** A running QEMU as a machine's board. */
import { createPlatformQemu, createQemuClock } from '@nvme-stack/platform-qemu';
import type { Qemu } from '@nvme-stack/platform-qemu/node';
import type { ExternalBoard } from '../ports.js';

/** How the board is used. */
export interface QemuBoardOptions {
  /** False: interrupts come by pins only. Default true. */
  readonly msi?: boolean;
}

/** Real time passes by itself: nothing is charged on top of it. */
const NO_COSTS = { mmioReadNs: 0, mmioWriteNs: 0, interruptNs: 0, wakeNs: 0, functionNs: 0, relaxNs: 0 } as const;

/** The board for `createMachine(description, { parts: { board } })`; one machine per QEMU. Whoever started QEMU stops it. */
export function qemuBoard(qemu: Qemu, options: QemuBoardOptions = {}): ExternalBoard {
  const clock = createQemuClock(qemu);
  return {
    clock,
    costs: NO_COSTS,
    host: (loop) => ({ macrotask: loop.macrotask, after: (delayNs, fn) => qemu.waitForEvent(delayNs, fn) }),
    platform: ({ kernel, irqs }) => createPlatformQemu({ kernel, irqs, qemu, clock, ...options }),
    onFailure: (listener) => qemu.onFailure(listener),
  };
}
