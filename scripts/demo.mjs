/** Builds what the demo needs, then runs it with the arguments given: stdout carries nothing but the demo's own output. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

function run(command, args, stdio) {
  const child = spawn(command, args, {
    cwd: stdio === 'inherit' ? process.cwd() : root,
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1' },
    stdio,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      output += chunk;
    });
  }
  return new Promise((done, fail) => {
    child.on('error', fail);
    child.on('close', (code, signal) => done({ code: code ?? (signal === 'SIGINT' ? 130 : 1), output }));
  });
}

const notice = setTimeout(() => process.stderr.write('Building…\n'), 1000);
const build = await run(
  'turbo',
  ['run', 'build', '--filter=@nvme-stack/demo...', '--output-logs=errors-only'],
  ['ignore', 'pipe', 'pipe'],
);
clearTimeout(notice);
if (build.code !== 0) {
  process.stderr.write(build.output);
  process.exitCode = build.code;
} else {
  const cli = fileURLToPath(new URL('../apps/demo/dist/cli.js', import.meta.url));
  process.exitCode = (await run(process.execPath, [cli, ...process.argv.slice(2)], 'inherit')).code;
}
