/** Builds a workspace with what it needs, then runs its command: stdout carries nothing but the command's own output. */
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

/**
 * Runs `cli` of the workspace `name` with this process's arguments and ends with its exit code. The build speaks on
 * stderr, and only when it takes long or fails; then the exit code is `failedCode`, or the build's.
 */
export async function buildAndRun(name, cli, failedCode) {
  const notice = setTimeout(() => process.stderr.write('Building…\n'), 1000);
  const build = await run('turbo', ['run', 'build', `--filter=${name}...`, '--output-logs=errors-only'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  clearTimeout(notice);
  if (build.code !== 0) {
    process.stderr.write(build.output);
    process.exitCode = failedCode ?? build.code;
    return;
  }
  const args = [fileURLToPath(new URL(`../${cli}`, import.meta.url)), ...process.argv.slice(2)];
  process.exitCode = (await run(process.execPath, args, { stdio: 'inherit' })).code;
}
