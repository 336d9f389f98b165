/** A generated file: written, or with `--check` compared with what is there. Exit code 1 when it is out of date. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Writes or checks a file below the root; `problems` are sentences that make it fail either way. */
export function generated(path, text, problems = []) {
  const file = `${root}${path}`;
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  if (problems.length > 0) process.exitCode = 1;
  if (!process.argv.includes('--check')) {
    writeFileSync(file, text);
  } else if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
    process.stderr.write(`${path} is not current: run \`pnpm run docs\`.\n`);
    process.exitCode = 1;
  }
}

/** Text for a cell of a Markdown table. */
export function cell(text) {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
