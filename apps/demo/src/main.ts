/** The demo without its process: arguments in, text out, exit code returned. */
import { accessSync, constants, statSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { compare } from './compare.js';
import { describeMachine } from './description.js';
import { BadInput, refusal } from './input.js';
import { toDocument, toJson } from './json.js';
import type { Answer } from './keys.js';
import { heading, size, type View, widthOf, wrap } from './layout.js';
import { type DemoOptions, parseOptions } from './options.js';
import { createPaint } from './paint.js';
import { openMachine } from './platform.js';
import type { ProgressHost } from './progress.js';
import { resultLines } from './result.js';
import { isGood, newRun, type Run, type Step, steps } from './run.js';
import { traceText } from './traces/index.js';

/** The demo's surroundings. */
export interface DemoIo {
  out(text: string): void;
  error(text: string): void;
  /** Whether `out` is shown where colours are. */
  readonly colour: boolean;
  /** Columns of the terminal that shows `out`; null: it is no terminal. */
  readonly columns: number | null;
  /** Writes progress to a terminal; null: there is none. */
  readonly terminal: ((text: string) => void) | null;
  /** Where relative paths start. */
  readonly cwd: string;
  /** Wall-clock milliseconds. */
  nowMs(): number;
  nextKey(): Promise<Answer>;
}

/** Runs the demo. Exit codes: 0 done, 1 the run failed, 2 input that cannot be used. Never throws. */
export async function main(argv: readonly string[], io: DemoIo): Promise<number> {
  try {
    const options = parseOptions(argv);
    if (typeof options === 'string') {
      io.out(options);
      return 0;
    }
    if (options.out !== null) checkWritable(resolve(io.cwd, options.out), options.out);
    return options.compare === null
      ? await demo(options, io)
      : await compare(options, options.compare, io, viewOf(io, 'virtual'));
  } catch (error) {
    if (error instanceof BadInput) {
      io.error(`${error.message}\n`);
      return 2;
    }
    io.error(`The run failed: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

function viewOf(io: DemoIo, time: View['time']): View {
  return { paint: createPaint(io.colour), width: widthOf(io.columns), wraps: io.columns !== null, time };
}

async function demo(options: DemoOptions, io: DemoIo): Promise<number> {
  const { quiet, json, trace, out, disk } = options;
  const description = describeMachine(options, io.cwd, options.profile);
  const machine = await openMachine(description);
  try {
    const view = viewOf(io, machine.description.platform === 'qemu' ? 'real' : 'virtual');
    const host: ProgressHost = {
      terminal: quiet || json ? null : io.terminal,
      nowMs: io.nowMs,
      width: view.width,
    };
    const run = newRun(machine, options, disk === null ? null : resolve(io.cwd, disk), host);
    const showsScreens = !quiet && !json && (trace === null || out !== null);
    const answer = await (showsScreens ? show(run, view, io) : act(run));
    if (answer === 'quit') return 0;
    if (json) io.out(toJson(toDocument(run)));
    if (trace !== null) writeTrace(run, io, trace, showsScreens);
    if (quiet && (trace === null || out !== null)) io.out(`${resultLines(run).join('\n')}\n`);
    return isGood(run) ? 0 : 1;
  } finally {
    machine.close();
  }
}

/** Every step without a screen. */
async function act(run: Run): Promise<Answer> {
  for (const step of steps(run.options)) await step.act?.(run);
  return 'next';
}

/** Every step, each shown when it is done. */
async function show(run: Run, view: View, io: DemoIo): Promise<Answer> {
  const all = steps(run.options);
  io.out(`${banner(run, view).join('\n')}\n`);
  for (const [i, step] of all.entries()) {
    await step.act?.(run);
    io.out(`\n${screen(run, step, `${i + 1}/${all.length}`, view)}`);
    if (!run.options.step || i === all.length - 1) continue;
    io.terminal?.(view.paint.quiet('any key: next screen, q: end'));
    const answer = await io.nextKey();
    io.terminal?.('\r\u001b[K');
    if (answer === 'quit') return answer;
  }
  return 'next';
}

function screen(run: Run, step: Step, number: string, view: View): string {
  return `${[heading(view, number, step.title), ...step.lines(run, view)].join('\n')}\n`;
}

function banner({ machine }: Run, { paint, width }: View): string[] {
  const { profile, cpus, memoryMiB, seed, interleave, platform } = machine.description;
  const order = interleave ? `seed ${seed} chooses among what is ready` : 'first in, first out';
  return [
    `${paint.title(`nvme-stack: the NVMe path of Linux ${profile}`)}, ${cpus} CPU${cpus > 1 ? 's' : ''}, ${size(memoryMiB * 2 ** 20)}`,
    ...wrap(
      platform === 'qemu'
        ? `The controllers are QEMU's own, driven in real time; ${order}.`
        : `Times are virtual unless they say otherwise; ${order}: the same command runs the same way every time.`,
      width,
    ).map(paint.quiet),
  ];
}

function writeTrace(
  { machine, options }: Run,
  io: DemoIo,
  format: NonNullable<DemoOptions['trace']>,
  says: boolean,
): void {
  const text = traceText(format, machine.trace.entries, machine.description);
  if (options.out === null) {
    io.out(text);
    return;
  }
  writeFileSync(resolve(io.cwd, options.out), text);
  if (says) io.out(`\nThe trace is in ${options.out}, ${size(text.length)}.\n`);
}

/** A file that can be written to when the run is over. Throws BadInput. */
function checkWritable(path: string, name: string): void {
  try {
    const old = statSync(path, { throwIfNoEntry: false });
    if (old?.isDirectory() === true) throw new Error('a directory');
    accessSync(old === undefined ? dirname(path) : path, constants.W_OK);
    if (!statSync(dirname(path)).isDirectory()) throw new Error('no directory');
  } catch {
    throw refusal('--out', name, 'the path of a file that can be written');
  }
}
