import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { readCapture } from './capture-file.js';
import { splitThreads } from './threads.js';
import type { CallLine } from './threads.js';
const dump = (n: CallLine, ind = ''): string => `${ind}${n.symbol} :${n.line}\n${n.children.map((c) => dump(c, ind + '  ')).join('')}`;
it.each(['ftrace-insmod-6.12.111.txt','ftrace-io-6.12.111.txt','ftrace-insmod-6.1.176.txt','ftrace-io-6.1.176.txt'])('%s', (f) => {
  const c = readCapture(f, readFileSync(new URL('../../golden/' + f, import.meta.url), 'utf8'));
  const t = splitThreads(c.lines);
  console.log('=====', f, c.kind, c.linux, t.length);
  for (const x of t) if (x.root.children.length) console.log((x.isInterrupt ? 'IRQ ' : '') + dump(x.root));
});
