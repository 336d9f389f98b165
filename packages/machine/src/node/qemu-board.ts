/** A running QEMU as a machine's board. */
import { createPlatformQemu, createQemuClock, REAL_TIME_COSTS } from '@nvme-stack/platform-qemu';
import type { Qemu, QemuNamespace } from '@nvme-stack/platform-qemu/node';
import type { PlatformQemu } from '@nvme-stack/platform-qemu/ports';
import type { ExternalBoard } from '../ports.js';
import { controllerOf } from './qemu-options.js';

/** How the board is used. */
export interface QemuBoardOptions {
  /** False: interrupts come by pins only. Default true. */
  readonly msi?: boolean;
}

/** The board for `createMachine(description, { parts: { board } })`; one machine per QEMU. Whoever started QEMU stops it. */
export function qemuBoard(qemu: Qemu, options: QemuBoardOptions = {}): ExternalBoard {
  const clock = createQemuClock(qemu);
  let media = 0;
  return {
    clock,
    costs: REAL_TIME_COSTS,
    host: (loop) => ({ macrotask: loop.macrotask, after: (delayNs, fn) => qemu.waitForEvent(delayNs, fn) }),
    plug: (platform, port, nvme) => {
      const { properties, namespaces, serial } = controllerOf(nvme, 'machine.plug');
      const drive = namespaces.length === 0 ? {} : { drive: addMedium(qemu, `${port}-${++media}`, namespaces) };
      const named = serial === undefined ? {} : { serial };
      (platform as unknown as PlatformQemu).replug({ port }, { ...named, ...drive, ...properties });
    },
    platform: ({ kernel, irqs }) => createPlatformQemu({ kernel, irqs, qemu, clock, ...options }),
    onFailure: (listener) => qemu.onFailure(listener),
  };
}

/** Gives QEMU the image of a controller's only namespace; returns the node's name. */
function addMedium({ monitor }: Qemu, name: string, namespaces: readonly QemuNamespace[]): string {
  const [first] = namespaces;
  if (namespaces.length > 1 || first?.file === undefined) {
    throw new RangeError(
      'machine.plug.namespaces has more than an image; allowed with platform "qemu": one namespace with file, or none',
    );
  }
  const file = { driver: 'file', filename: first.file };
  monitor.execute('blockdev-add', { driver: 'raw', 'node-name': name, 'read-only': first.readOnly ?? false, file });
  return name;
}
