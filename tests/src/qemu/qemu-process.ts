/**
 * A QEMU q35 machine whose CPU never runs: its devices are ours to drive through the test protocol. Everything it
 * needs on disk is unlinked as soon as it is open, so that nothing stays behind, however the test ends.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { closeSync, constants, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { QtestLink } from './qtest-link.js';

const QEMU = 'qemu-system-x86_64';
const RAM_BYTES = 256 << 20;
const START_TIMEOUT_MS = 10_000;
/** QEMU does not outlive this, whatever hangs. */
const LIFETIME_S = 60;
const POLL_MS = 5;

/** Why there is no QEMU to test with; null: there is one. */
export function qemuMissing(): string | null {
  const found = spawnSync(QEMU, ['--version']).status === 0;
  return found
    ? null
    : 'no qemu-system-x86_64 here; install it with: apt-get install --no-install-recommends qemu-system-x86';
}

/** A running QEMU. */
export interface QemuProcess {
  readonly link: QtestLink;
  /** File descriptor of guest RAM; its offset is the guest-physical address. */
  readonly ram: number;
  readonly ramBytes: number;
  /** Ends QEMU and waits until it is gone. */
  stop(): Promise<void>;
}

/** Starts QEMU with an NVMe controller of that serial number in slot 1 and `diskBytes` behind it. */
export async function startQemu(serial: string, diskBytes: number): Promise<QemuProcess> {
  const folder = mkdtempSync('/dev/shm/nvme-stack-qemu-');
  const open: number[] = [];
  let child: ChildProcess | null = null;
  try {
    const path = (name: string): string => join(folder, name);
    execFileSync('mkfifo', [path('q.in'), path('q.out')]);
    const disk = openSync(path('disk'), 'w');
    ftruncateSync(disk, diskBytes);
    closeSync(disk);
    const commands = openSync(path('q.in'), 'r+');
    open.push(commands);
    const answers = openSync(path('q.out'), constants.O_RDWR | constants.O_NONBLOCK);
    open.push(answers);
    child = spawnQemu(folder, serial);
    await firstAnswer(child, commands, answers);
    // Read-only from here on: when QEMU ends this reads as an end and not as silence.
    const replies = openSync(path('q.out'), 'r');
    closeSync(answers);
    open[1] = replies;
    const ram = openSync(path('ram'), 'r+');
    open.push(ram);
    const running = child;
    return {
      link: new QtestLink(commands, replies),
      ram,
      ramBytes: RAM_BYTES,
      stop: async () => {
        await end(running);
        for (const fd of open.splice(0)) closeSync(fd);
      },
    };
  } catch (error) {
    if (child !== null) await end(child);
    for (const fd of open) closeSync(fd);
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function spawnQemu(folder: string, serial: string): ChildProcess {
  const guard = ['--pdeathsig', 'KILL', 'timeout', '--signal=KILL', `${LIFETIME_S}`, 'setpriv', '--pdeathsig', 'KILL'];
  const machine = ['-machine', 'q35,memory-backend=ram', '-accel', 'tcg', '-S', '-m', `${RAM_BYTES >> 20}M`];
  const memory = `memory-backend-file,id=ram,size=${RAM_BYTES},share=on,mem-path=${join(folder, 'ram')}`;
  const quiet = ['-display', 'none', '-nodefaults', '-no-user-config', '-serial', 'none'];
  const test = ['-qtest', `pipe:${join(folder, 'q')}`, '-qtest-log', 'none'];
  const drive = ['-drive', `file=${join(folder, 'disk')},if=none,id=d0,format=raw`];
  const nvme = ['-device', `nvme,drive=d0,serial=${serial},addr=1`];
  const args = [...guard, QEMU, ...machine, '-object', memory, ...quiet, ...test, ...drive, ...nvme];
  return spawn('setpriv', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Waits until QEMU answers; rejects with what it said when it ends instead. */
async function firstAnswer(child: ChildProcess, commands: number, answers: number): Promise<void> {
  let said = '';
  let ended = false;
  child.stderr?.on('data', (data) => {
    said += data;
  });
  child.once('error', () => {
    ended = true;
  });
  child.once('close', () => {
    ended = true;
  });
  writeSync(commands, 'clock_step 0\n');
  let text = '';
  const byte = Buffer.alloc(1);
  for (let waited = 0; waited < START_TIMEOUT_MS && !ended; waited += POLL_MS) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    try {
      while (!text.endsWith('\n')) text += byte.toString('latin1', 0, readSync(answers, byte));
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
  throw new Error(`QEMU did not start: ${said.trim() || 'no answer'}`);
}

function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('close', () => resolve());
    child.kill('SIGKILL');
  });
}
