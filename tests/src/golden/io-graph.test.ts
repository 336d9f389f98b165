/** How the calls of two reads nest: Linux 6.1's own capture of `dd` with O_DIRECT, against two reads of ours on profile 6.1. */
import { readFileSync } from 'node:fs';
import { createMachine } from '@nvme-stack/machine';
import { expect, it } from 'vitest';

interface Call {
  readonly symbol: string;
  readonly depth: number;
}

function capturedCalls(text: string): Call[] {
  const calls: Call[] = [];
  for (const line of text.split('\n')) {
    const match = /^ \d\).*?\| {2}( *)([\w.]+)(?: \[\w+\])?\(\)(?:;| \{)$/.exec(line);
    if (match === null) continue;
    const symbol = (match[2] as string).replace(/\.(isra|part|constprop)\.\d+$/, '');
    calls.push({ symbol, depth: (match[1] as string).length / 2 });
  }
  return calls;
}

/** Each call of a known symbol with the known ones that it is called beneath, as a path. */
function paths(calls: readonly Call[], known: ReadonlySet<string>): string[] {
  const open: Call[] = [];
  const found: string[] = [];
  for (const call of calls) {
    while ((open.at(-1)?.depth ?? -1) >= call.depth) open.pop();
    if (!known.has(call.symbol)) continue;
    open.push(call);
    found.push(open.map(({ symbol }) => symbol).join(' > '));
  }
  return found;
}

it('calls of opening, two reads and closing nest as those of Linux', async () => {
  const text = readFileSync(new URL('../../golden/linux-6.1-userland/trace.fgraph_io', import.meta.url), 'utf8');
  const linux = capturedCalls(text);
  const known = new Set(linux.map(({ symbol }) => symbol));
  expect(known.size).toBe(14);

  const machine = await createMachine({ profile: '6.1', cpus: 2, nvme: [{ namespaces: [{ sizeMiB: 64 }] }] });
  await machine.modprobe('nvme');
  await machine.settle();
  const from = machine.trace.entries.length;
  const file = await machine.task('dd', ({ deviceCore }) => deviceCore.open('/dev/nvme0n1', { write: false }));
  for (const offset of [0, 4096]) await machine.disk('nvme0n1').read(offset, 4096);
  await machine.task('dd', ({ deviceCore }) => deviceCore.close(file));
  const ours = machine.trace.entries.slice(from).filter(({ kind }) => kind === 'function');
  // A task and the interrupt that comes into it have stacks of their own: each I/O's two parts follow one another.
  expect(paths(ours, known)).toEqual(paths(linux, known));
});
