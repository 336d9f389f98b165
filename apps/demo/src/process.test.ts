/** The demo as a process: streams, terminal, directories, exit codes. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsup';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uncoloured } from './harness.js';

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
/** `script` gives a command a terminal. */
const hasScript = spawnSync('script', ['--version']).error === undefined;

let root = '';
const cli = (): string => join(root, 'apps/demo/dist/cli.js');

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'nvme-stack-cli-'));
  mkdirSync(join(root, 'apps/demo'), { recursive: true });
  copyFileSync(source('../package.json'), join(root, 'apps/demo/package.json'));
  await build({
    entry: [source('cli.ts')],
    outDir: join(root, 'apps/demo/dist'),
    format: 'esm',
    target: 'es2022',
    noExternal: [/./],
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    esbuildOptions: (options) => {
      options.conditions = ['@nvme-stack/source'];
    },
    config: false,
    dts: false,
    silent: true,
  });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Place {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

function run(command: string, args: readonly string[], { cwd = root, env = {}, input = '' }: Place = {}) {
  const { INIT_CWD, NO_COLOR, ...own } = process.env;
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    env: { ...own, TERM: 'xterm', ...env },
    input,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    timeout: 30_000,
    killSignal: 'SIGKILL',
  });
  return { status, stdout, stderr };
}

const demo = (args: readonly string[], place?: Place) =>
  run(process.execPath, [cli(), '--operations', '200', ...args], place);

/** On a terminal of so many columns; both streams are the terminal. */
const onTerminal = (args: readonly string[], columns: number, place: Place = {}) =>
  run(
    'script',
    [
      '-qec',
      `stty cols ${columns} rows 50; ${process.execPath} ${cli()} --operations 200 ${args.join(' ')}`,
      '/dev/null',
    ],
    place,
  );

describe('the demo as a process', () => {
  it('writes one JSON document to standard output and nothing anywhere else', () => {
    const { status, stdout, stderr } = demo(['--json']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
    expect(JSON.parse(stdout)).toMatchObject({ schemaVersion: 1, leaks: [] });
  });

  it('ends with exit code 2 and one sentence on standard error when its input is bad', () => {
    expect(demo(['--cpus', '0'])).toEqual({
      status: 2,
      stdout: '',
      stderr: '--cpus is "0"; allowed: a whole number from 1 to 64.\n',
    });
  });

  it('ends quietly when its reader has seen enough', () => {
    const { stdout, stderr } = run('sh', ['-c', `${process.execPath} ${cli()} --json | head -c 20`]);
    expect({ stdout, stderr }).toEqual({ stdout: '{"schemaVersion":1,"', stderr: '' });
  });

  it('finds paths where the caller stood, though a package manager changed the directory', () => {
    mkdirSync(join(root, 'caller'), { recursive: true });
    writeFileSync(join(root, 'caller/disk.img'), new Uint8Array(4096));
    const args = ['--disk', 'disk.img', '--quiet'];
    expect(demo(args, { env: { INIT_CWD: join(root, 'caller') } }).status).toBe(0);
    expect(demo(args, { cwd: join(root, 'caller'), env: { INIT_CWD: root } }).status).toBe(0);
    expect(demo(args).status).toBe(2);
  });

  it('has no colour and no progress where there is no terminal', () => {
    const { stdout, stderr } = demo([]);
    expect(uncoloured(stdout)).toBe(stdout);
    expect(stderr).toBe('');
    expect(stdout).toContain('── 7/7');
  });
});

describe.skipIf(!hasScript)(`on a terminal${hasScript ? '' : ' (skipped: script is not installed)'}`, () => {
  it.each([80, 120])('of %i columns, it is coloured, as wide as that, and shows progress', (columns) => {
    const { status, stdout } = onTerminal([], columns);
    expect(status).toBe(0);
    expect(stdout).not.toBe(uncoloured(stdout));
    expect(stdout).toContain('200 reads and writes  ');
    const lines = uncoloured(stdout)
      .split('\r\n')
      .map((line) => line.split('\r').at(-1) ?? '');
    expect(Math.max(...lines.map((line) => line.length))).toBe(columns);
  });

  it('has no colour where NO_COLOR is set', () => {
    const { stdout } = onTerminal([], 80, { env: { NO_COLOR: '1' } });
    expect(stdout.replaceAll('\u001b[K', '')).not.toContain('\u001b');
  });

  it('goes on and ends by keys', () => {
    const { status, stdout } = onTerminal(['--step'], 80, { input: ' q' });
    expect(status).toBe(0);
    expect(stdout).toContain('any key: next screen, q: end');
    expect(stdout).toContain('── 1/7');
    expect(stdout).not.toContain('── 4/7');
  });
});
