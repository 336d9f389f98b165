/** `pnpm golden`: builds what the comparer needs, on stderr and only when it fails, then runs it with the arguments given. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

function run(command, args, options) {
  const child = spawn(command, args, { env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1' }, ...options });
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
const build = await run('turbo', ['run', 'build', '--filter=@nvme-stack/tests...', '--output-logs=errors-only'], {
  cwd: root,
  stdio: ['ignore', 'pipe', 'pipe'],
});
clearTimeout(notice);
if (build.code !== 0) {
  process.stderr.write(build.output);
  process.exitCode = 3;
} else {
  const cli = fileURLToPath(new URL('dist/cli.js', import.meta.url));
  process.exitCode = (await run(process.execPath, [cli, ...process.argv.slice(2)], { stdio: 'inherit' })).code;
}
