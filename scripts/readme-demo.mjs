/** The demo's lines in `README.md`, brought up to date: the same lines of a run of the built demo, with its numbers. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { generated, root } from './generated.mjs';

const run = spawnSync(process.execPath, [`${root}apps/demo/dist/cli.js`], { encoding: 'utf8' });
if (run.status !== 0) throw new Error(`the demo failed: ${run.stderr}`);
const lines = run.stdout.split('\n');
// Wall-clock time stays what it was: it differs from run to run.
const isWallTime = (line) => / of wall time/.test(line);
const wording = (line) =>
  isWallTime(line) ? 'wall time' : line.replace(/0x[0-9a-f]+|\d+|\b[0-9a-f]{16}\b/g, '#').replace(/ +/g, ' ');

const problems = [];
let at = 0;
const refresh = (line) => {
  if (line === '…') return line;
  const found = lines.findIndex((other, i) => i >= at && wording(other) === wording(line));
  if (found < 0) {
    problems.push(`README.md: the demo no longer prints "${line.trim()}" here; choose another line.`);
    return line;
  }
  at = found + 1;
  return isWallTime(line) ? line : lines[found];
};

const readme = readFileSync(`${root}README.md`, 'utf8');
const block = /(<!-- demo output -->\n```text\n)([\s\S]*?)\n(```)/;
generated(
  'README.md',
  readme.replace(block, (_, head, shown, tail) => `${head}${shown.split('\n').map(refresh).join('\n')}\n${tail}`),
  problems,
);
