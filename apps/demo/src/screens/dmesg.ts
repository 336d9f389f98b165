/** The kernel's log. */
import type { Paint } from '../paint.js';
import type { Demo } from '../run.js';

export function dmesgScreen({ dmesg }: Demo, paint: Paint): string[] {
  return [paint.title('# dmesg'), ...dmesg.map((line) => (/ nvme /.test(line) ? paint.mark(line) : line))];
}
