import { readFileSync } from 'node:fs';
import { type GraphEvent, printFunctionGraph } from '@nvme-stack/kernel';
import { expect, it } from 'vitest';

const LINE = /^ (\d+)\) (?:. +([\d.]+) us +| +)\| {2}( *)(?:([\w.]+)(?: \[(\w+)\])?\(\)( \{|;)|\}.*)$/;
const SWITCH = /^ (\d+)\) +(\S+)-(\d+) +=> +(\S+)-(\d+) *$/;

/** Reads function_graph text back into the events it was printed from. */
function parse(text: string): { events: GraphEvent[]; modules: Map<string, string> } {
  const events: GraphEvent[] = [];
  const modules = new Map<string, string>();
  const running = new Map<number, { task: string; pid: number }>();
  const stacks = new Map<number, string[]>();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith(' ---'));
  for (const line of lines) {
    const match = SWITCH.exec(line);
    const cpu = Number(match?.[1]);
    if (match !== null && !running.has(cpu)) running.set(cpu, { task: match[2], pid: Number(match[3]) });
  }
  for (const line of lines) {
    const change = SWITCH.exec(line);
    if (change !== null) {
      running.set(Number(change[1]), { task: change[4], pid: Number(change[5]) });
      continue;
    }
    const [, cpuText, duration, indent, name, module, end] = LINE.exec(line) as RegExpExecArray;
    const cpu = Number(cpuText);
    const { task, pid } = running.get(cpu) as { task: string; pid: number };
    const depth = indent.length / 2;
    const [us, fraction = ''] = (duration ?? '0').split('.');
    const durationNs = Number(us) * 1000 + Number(fraction.padEnd(3, '0'));
    const stack = stacks.get(pid) ?? [];
    stacks.set(pid, stack);
    const at = { cpu, pid, task, depth, durationNs };
    if (name !== undefined) {
      if (module !== undefined) modules.set(name, module);
      stack[depth] = name;
      events.push({ ...at, kind: 'entry', symbol: name });
      if (end === ';') events.push({ ...at, kind: 'return', symbol: name });
    } else {
      events.push({ ...at, kind: 'return', symbol: stack[depth] });
    }
  }
  return { events, modules };
}

it.each(['trace.fgraph_io', 'trace.fgraph_reset'])('prints %s as Linux did', (name) => {
  const text = readFileSync(new URL(`../../golden/linux-6.1-userland/${name}`, import.meta.url), 'utf8');
  const { events, modules } = parse(text);
  expect(printFunctionGraph(events, { moduleOf: (symbol) => modules.get(symbol) })).toBe(text);
});
