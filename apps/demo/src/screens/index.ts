/** The demo's pages, in the order in which things happened. */
import type { Paint } from '../paint.js';
import type { Demo } from '../run.js';
import { dmesgScreen } from './dmesg.js';
import { ioScreen } from './io.js';
import { probeScreen } from './probe.js';
import { queuesScreen } from './queues.js';
import { removalScreen } from './removal.js';
import { titleScreen } from './title.js';

/** All that the demo prints. */
export function screens(demo: Demo, paint: Paint): string {
  const pages = [titleScreen, dmesgScreen, probeScreen, ioScreen, queuesScreen, removalScreen];
  return `${pages.map((page) => page(demo, paint).join('\n')).join('\n\n')}\n`;
}
