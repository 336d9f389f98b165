/** QEMU missing, dying, hanging, talking nonsense; this process dying: an error that names it, and nothing left. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { startQemu } from '@nvme-stack/platform-qemu/node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bundleForNode } from './bundle.js';
import { eventually, foldersGo, KIB, missing, oneDisk, withQemu } from './with-qemu.js';

const FAKE = fileURLToPath(new URL('fake-qemu.sh', import.meta.url));

const messageOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: Error) => error.message,
  );

/** A process is gone, or dead and not yet buried. */
function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

describe('starting QEMU', () => {
  it('says in one sentence that there is none and how to install it', async () => {
    const refusal = await messageOf(startQemu({ ...oneDisk(), executable: 'no-such-qemu' }));
    expect(refusal).toBe(
      'there is no no-such-qemu here; install it with: apt-get install --no-install-recommends qemu-system-x86',
    );
  });

  it('refuses bad options by name', async () => {
    expect(await messageOf(startQemu({ controllers: [], bells: 9 }))).toBe(
      'bells is 9; allowed: a whole number from 1 to 8',
    );
    const twice = [1, 1].map((slot) => ({ slot, namespaces: [] }));
    expect(await messageOf(startQemu({ controllers: twice }))).toBe('slot 1 is given twice; allowed: each slot once');
  });
});

describe.skipIf(missing !== null)('a QEMU that fails', () => {
  afterEach(async () => {
    delete process.env.MISBEHAVIOUR;
    expect(await foldersGo()).toBe(true);
  });

  it('at its start is quoted', async () => {
    const controllers = [{ slot: 1, properties: { mdts: 'x' }, namespaces: [{ sizeBytes: 1 << 20 }] }];
    expect(await messageOf(startQemu({ controllers }))).toMatch(/^QEMU did not start: .*mdts/s);
  });

  it('by being killed ends the call that is outstanding, and every later one', async () => {
    await withQemu(oneDisk(), async ({ machine, qemu }) => {
      await machine.modprobe('nvme');
      const disk = machine.disk('nvme0n1');
      const read = messageOf(
        (async () => {
          for (;;) await disk.read(0, 4 * KIB);
        })(),
      );
      setTimeout(() => process.kill(qemu.pid, 'SIGKILL'), 30);
      expect(await read).toMatch(/^QEMU has ended/);
      expect(await messageOf(disk.read(0, 4 * KIB))).toMatch(/^QEMU has ended/);
      expect(await eventually(() => isGone(qemu.pid))).toBe(true);
    });
  });

  it('while nobody asks it anything is noticed too', async () => {
    await withQemu(oneDisk(), async ({ machine, qemu }) => {
      const waiting = messageOf(machine.run(60e9));
      setTimeout(() => process.kill(qemu.pid, 'SIGKILL'), 30);
      expect(await waiting).toMatch(/^QEMU has ended/);
    });
  });

  it('by not answering is ended after the time-out', async () => {
    await withQemu({ ...oneDisk(), answerTimeoutMs: 500 }, async ({ machine, qemu }) => {
      await machine.modprobe('nvme');
      process.kill(qemu.pid, 'SIGSTOP');
      expect(await messageOf(machine.disk('nvme0n1').read(0, 4 * KIB))).toMatch(
        /^QEMU did not answer .* within 500 ms and was ended$/,
      );
      expect(await eventually(() => isGone(qemu.pid))).toBe(true);
    });
  });

  it.each([
    ['nonsense', /^QEMU answered "segmentation fault" to/],
    ['silence', /^QEMU did not answer .* within 300 ms and was ended$/],
    ['words', /^QEMU has ended before it answered .*: no more memory$/],
  ])('by %s is named', async (misbehaviour, wanted) => {
    process.env.MISBEHAVIOUR = misbehaviour;
    const options = { ...oneDisk(), executable: FAKE, ramMiB: 16, answerTimeoutMs: 300 };
    expect(await messageOf(withQemu(options, async ({ machine }) => machine.modprobe('nvme')))).toMatch(wanted);
  });

  it('to do what the monitor asks says what it refused', async () => {
    await withQemu(oneDisk(), async ({ qemu }) => {
      expect(() => qemu.monitor.execute('no-such-command')).toThrow(/^QEMU refused .*no-such-command/);
    });
  });
});

describe.skipIf(missing !== null)('a process that uses QEMU', () => {
  let script: Awaited<ReturnType<typeof bundleForNode>>;

  beforeAll(async () => {
    script = await bundleForNode(new URL('user-process.ts', import.meta.url));
  });

  afterAll(() => script?.remove());

  /** Starts one that says QEMU's process id when it does I/O, and then goes on for ever or returns without closing. */
  function startUser(mode: string): Promise<{ readonly pid: number; readonly ended: Promise<void>; kill(): void }> {
    const user = spawn(process.execPath, [script.path, mode], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise<void>((resolve) => user.once('close', () => resolve()));
    return new Promise((resolve) => {
      user.stdout.once('data', (text) => resolve({ pid: Number(text), ended, kill: () => user.kill('SIGKILL') }));
    });
  }

  it('leaves nothing behind when it is killed in the middle of I/O', async () => {
    const user = await startUser('for-ever');
    expect(isGone(user.pid)).toBe(false);
    user.kill();
    await user.ended;
    expect(await eventually(() => isGone(user.pid))).toBe(true);
    expect(await foldersGo()).toBe(true);
  });

  it('may end without closing anything', async () => {
    const user = await startUser('returns');
    await user.ended;
    expect(await eventually(() => isGone(user.pid))).toBe(true);
    expect(await foldersGo()).toBe(true);
  });
});
