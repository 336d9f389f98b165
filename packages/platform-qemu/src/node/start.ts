/**
 * Starts QEMU with its CPU parked: its devices are ours to drive through the test protocol. What it needs on disk is
 * unlinked as soon as it is open, and the guardian sees to it that nothing is left, whatever becomes of this process.
 */
import type { ChildProcess } from 'node:child_process';
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { QemuBoard, QemuMonitor } from '../ports.js';
import { type CommandLine, commandLine } from './command-line.js';
import { EventWait } from './event-wait.js';
import { endGuardian, keepAlive, nextLine, startGuardian } from './guardian.js';
import { HangWatch } from './hang-watch.js';
import { LineChannel, QemuError } from './line-channel.js';
import { checkOptions, type QemuOptions } from './options.js';
import { QmpMonitor } from './qmp-monitor.js';
import { QtestLink } from './qtest-link.js';

const EXECUTABLE = 'qemu-system-x86_64';
const DEFAULT_ANSWER_TIMEOUT_MS = 30_000;
const START_TIMEOUT_MS = 20_000;
const POLL_MS = 2;
const INSTALL = 'install it with: apt-get install --no-install-recommends qemu-system-x86';

/** Why QEMU cannot be used here, in one sentence; null: it can. */
export function qemuMissing(executable: string = EXECUTABLE): string | null {
  if (process.platform !== 'linux') return `QEMU as a platform needs Linux; this is ${process.platform}`;
  if (spawnSync(executable, ['--version']).status === 0) return null;
  return `there is no ${executable} here; ${INSTALL}`;
}

/** A running QEMU, and what only its owner does with it. */
export interface Qemu extends QemuBoard {
  /** Process id of QEMU. */
  readonly pid: number;
  /** What `-trace` points have written so far. */
  traceText(): string;
  /** Called once with the reason when QEMU ends, does not answer or speaks nonsense. */
  onFailure(listener: (reason: string) => void): void;
  /** Ends QEMU; resolves when it is gone. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts QEMU; rejects with one sentence when there is none, when an option is bad, or with what QEMU said when it ends instead. */
export async function startQemu(options: QemuOptions): Promise<Qemu> {
  checkOptions(options);
  const missing = qemuMissing(options.executable);
  if (missing !== null) throw new QemuError(missing);
  const guardian = startGuardian();
  const open: number[] = [];
  let folder: string | null = null;
  try {
    folder = await nextLine(guardian);
    if (folder === null) throw new QemuError('QEMU cannot be started here: there is no folder for its pipes');
    return await start(options, guardian, folder, open);
  } catch (error) {
    await endGuardian(guardian);
    for (const fd of open.splice(0)) closeSync(fd);
    throw error;
  } finally {
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
  }
}

/** What of the folder is open here; closed when QEMU has gone. */
interface Opened {
  readonly line: CommandLine;
  readonly errors: number;
  readonly log: number;
  readonly pipes: { readonly q: Pipe; readonly m: Pipe };
}

async function start(options: QemuOptions, guardian: ChildProcess, folder: string, open: number[]): Promise<Qemu> {
  const opened = fillFolder(options, folder, open);
  guardian.stdin?.write('go\n');
  const pid = Number(await nextLine(guardian));
  await firstAnswer(guardian, opened.pipes.q, () => text(opened.errors));
  const watch = new HangWatch(guardian.pid as number, options.answerTimeoutMs ?? DEFAULT_ANSWER_TIMEOUT_MS);
  try {
    const { link, monitor, wait } = connect(opened, folder, open, watch);
    keepAlive(guardian, false);
    const stop = async (): Promise<void> => {
      link.fail('QEMU was stopped');
      wait.close();
      await endGuardian(guardian);
      await watch.stop();
      for (const fd of open.splice(0)) closeSync(fd);
    };
    return {
      ...board(opened.line, link, monitor, wait),
      pid,
      traceText: () => text(opened.log),
      onFailure: listen(link, wait),
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await watch.stop();
    throw error;
  }
}

/** Makes what QEMU finds in its folder, and opens our side of it. */
function fillFolder(options: QemuOptions, folder: string, open: number[]): Opened {
  const line = commandLine(options, folder);
  const keep = keeper(folder, open);
  for (const medium of line.media) makeMedium(medium);
  for (const name of ['errors', 'log']) writeFileSync(join(folder, name), '');
  writeFileSync(join(folder, 'args'), [options.executable ?? EXECUTABLE, ...line.args].join('\n'));
  const pipes = { q: openPipe('q', keep), m: openPipe('m', keep) };
  return { line, errors: keep('errors', 'r'), log: keep('log', 'r'), pipes };
}

type Keep = (name: string, flags: string | number) => number;

/** Opens files of the folder and remembers them. */
function keeper(folder: string, open: number[]): Keep {
  return (name, flags) => {
    const fd = openSync(join(folder, name), flags);
    open.push(fd);
    return fd;
  };
}

/** The link and the monitor of a QEMU that answers. Throws QemuError when it stops to. */
function connect({ errors, pipes }: Opened, folder: string, open: number[], watch: HangWatch) {
  const replies = {
    q: readOnly(join(folder, 'q.out'), open, pipes.q.in),
    m: readOnly(join(folder, 'm.out'), open, pipes.m.in),
  };
  const ram = keeper(folder, open)('ram', 'r+');
  const lastWords = (): string => text(errors).trim();
  const channel = new LineChannel(pipes.q.out, replies.q, watch, lastWords);
  const link = new QtestLink(channel, ram);
  link.interceptLines();
  const monitor = new QmpMonitor(new LineChannel(pipes.m.out, replies.m, watch, lastWords));
  const wait = new EventWait(replies.q, link, (words) => channel.feed(words));
  link.onFailure = () => wait.wake();
  return { link, monitor, wait };
}

function board(line: CommandLine, link: QtestLink, monitor: QemuMonitor, wait: EventWait): QemuBoard {
  const { ramBytes, bells, devices, rootPorts } = line;
  return {
    link,
    monitor,
    ramBytes,
    bells,
    devices,
    rootPorts,
    nowNs: () => performance.now() * 1e6,
    waitForEvent: (delayNs, fn) => wait.wait(delayNs, fn),
  };
}

function listen(link: QtestLink, wait: EventWait): Qemu['onFailure'] {
  return (listener) => {
    link.onFailure = (reason) => {
      listener(reason);
      wait.wake();
    };
    if (link.failure !== null) listener(link.failure);
  };
}

function makeMedium({ path, sizeBytes }: { readonly path: string; readonly sizeBytes: number }): void {
  const fd = openSync(path, 'w');
  ftruncateSync(fd, sizeBytes);
  closeSync(fd);
}

interface Pipe {
  readonly out: number;
  readonly in: number;
}

/** Both ends stay open here until QEMU has them, so that nobody waits for the other to open. */
function openPipe(name: string, keep: Keep): Pipe {
  return { out: keep(`${name}.in`, 'r+'), in: keep(`${name}.out`, constants.O_RDWR | constants.O_NONBLOCK) };
}

/** Read-only from here on: when QEMU ends this reads as an end and not as silence. */
function readOnly(path: string, open: number[], both: number): number {
  const fd = openSync(path, 'r');
  closeSync(both);
  open[open.indexOf(both)] = fd;
  return fd;
}

/** Waits until QEMU answers; rejects with what it said when it ends instead. */
async function firstAnswer(guardian: ChildProcess, pipe: Pipe, said: () => string): Promise<void> {
  let ended = false;
  guardian.once('close', () => {
    ended = true;
  });
  writeSync(pipe.out, 'clock_step 0\n');
  const byte = Buffer.alloc(1);
  let answer = '';
  for (let waited = 0; waited < START_TIMEOUT_MS && !ended; waited += POLL_MS) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    try {
      while (!answer.endsWith('\n')) answer += byte.toString('latin1', 0, readSync(pipe.in, byte));
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
  throw new QemuError(`QEMU did not start: ${said().trim() || 'no answer'}`);
}

function text(fd: number): string {
  const bytes = Buffer.alloc(fstatSync(fd).size);
  const length = readSync(fd, bytes, 0, bytes.length, 0);
  return bytes.toString('utf8', 0, length);
}
