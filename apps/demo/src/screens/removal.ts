/** rmmod, and what was left behind. */
import { callLines, rootOf, taskCalls } from '../call-tree.js';
import type { Paint } from '../paint.js';
import type { Demo } from '../run.js';
import { callHeader, callText, us } from './text.js';

const OPENED = new Set([
  'pci_unregister_driver',
  'driver_unregister',
  'bus_remove_driver',
  'driver_detach',
  'device_driver_detach',
  '__device_release_driver',
  'pci_device_remove',
  'nvme_remove',
]);

export function removalScreen({ rmmod, leaks, traceHash, endNs, trace }: Demo, paint: Paint): string[] {
  const root = rootOf(taskCalls(rmmod), 'nvme_remove');
  const left =
    leaks.length === 0
      ? [`Left behind: ${paint.good('nothing')}.`]
      : ['Left behind:', ...leaks.map(({ kind, name, count }) => paint.bad(`  ${count} x ${kind} ${name}`))];
  return [
    paint.title('# rmmod nvme'),
    callHeader(paint),
    ...(root === undefined
      ? []
      : callText(
          callLines(root, (symbol) => OPENED.has(symbol)),
          paint,
          new Set(['nvme_remove']),
        )),
    ...left,
    `${trace.length} trace entries in ${us(endNs)} us of virtual time; trace hash ${traceHash}.`,
  ];
}
