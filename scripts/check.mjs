/** Everything a reviewer would run apart from the tests: each step in turn, all of them even after a failure. */
import { spawnSync } from 'node:child_process';

const steps = [
  ['format and lint', 'biome check . --error-on-warnings'],
  ['layers', 'turbo boundaries'],
  ['unused code and dependencies', 'knip'],
  ['types', 'tsc -p tsconfig.json && turbo run typecheck --continue --output-logs=errors-only'],
  ['build', 'turbo run build --output-logs=errors-only'],
  ['publint and attw', 'turbo run check:package --continue --output-logs=errors-only'],
  ['API reports', 'turbo run api:check --continue --output-logs=errors-only'],
  ['generated docs', 'node scripts/docs.mjs --check'],
];

const failed = [];
for (const [name, command] of steps) {
  const start = Date.now();
  const result = spawnSync(command, {
    shell: true,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1' },
  });
  const seconds = ((Date.now() - start) / 1000).toFixed(1);
  if (result.status === 0) {
    process.stdout.write(`ok      ${name} (${seconds} s)\n`);
  } else {
    failed.push(name);
    process.stdout.write(`${result.stdout}${result.stderr}FAILED  ${name} (${seconds} s): ${command}\n`);
  }
}
if (failed.length > 0) {
  process.stdout.write(`check failed: ${failed.join(', ')}\n`);
  process.exitCode = 1;
}
