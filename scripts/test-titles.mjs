/** The tests of the repository, read from their sources: titles of `it(…)` and the acceptance rows they claim. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { root } from './generated.mjs';

/** Folders that have tests. */
const FOLDERS = ['packages', 'apps', 'tests', 'bench'];
const SKIPPED = new Set(['node_modules', 'dist', '.turbo', 'api']);

/** Sources of tests: `*.test.ts`, and contract suites below `testing`. */
export function testFiles() {
  const files = [];
  const visit = (folder) => {
    for (const entry of readdirSync(`${root}${folder}`, { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory() && !SKIPPED.has(entry.name)) visit(path);
      else if (/\.test\.ts$/.test(path) || /\/testing\/[^/]+\.ts$/.test(path)) files.push(path);
    }
  };
  for (const folder of FOLDERS) if (existsSync(`${root}${folder}`)) visit(folder);
  return files.sort();
}

/** The tests of a file: `{ title, rows }`, and `claims`: how many `// @acceptance` lines it has. */
export function testsOf(path) {
  const source = readFileSync(`${root}${path}`, 'utf8');
  const tests = [];
  for (const match of source.matchAll(/(?<![\w.'"`])(?:it|test)(?=[.<(])/g)) {
    const title = titleAt(source, match.index + match[0].length);
    if (title === null) continue;
    const above = source.slice(0, match.index).split('\n');
    above.pop();
    const rows = [];
    for (let claim = claimed(above.pop()); claim !== null; claim = claimed(above.pop())) rows.push(...claim);
    tests.push({ title, rows: rows.sort((a, b) => a - b) });
  }
  return { tests, claims: source.match(/\/\/ @acceptance/g)?.length ?? 0 };
}

/** The rows of a `// @acceptance 13 14` line; null for any other line. */
function claimed(line) {
  const match = /^\s*\/\/ @acceptance((?: \d+)+)\s*$/.exec(line ?? '');
  return match === null ? null : match[1].trim().split(' ').map(Number);
}

/** The first string argument of the call that begins here, past `.each(…)` and the like. */
function titleAt(source, start) {
  let at = start;
  for (;;) {
    const word = /^\.\w+/.exec(source.slice(at, at + 40));
    if (word !== null) at += word[0].length;
    if (source[at] === '<') at = pastBrackets(source, at);
    if (source[at] !== '(') return null;
    const text = /^\(\s*(['"`])((?:\\.|(?!\1)[\s\S])*)\1/.exec(source.slice(at, at + 1000));
    if (text !== null) return text[2].replace(/\\(['"`\\])/g, '$1');
    at = pastBrackets(source, at);
    if (at < 0 || source[at] !== '(') return null;
  }
}

const CLOSES = { '(': ')', '[': ']', '{': '}', '<': '>' };

/** Behind the bracket that closes the one at `at`; strings and comments do not count, and `=>` closes nothing. */
function pastBrackets(source, at) {
  const open = [];
  const angles = source[at] === '<';
  for (let i = at; i < source.length; i++) {
    const char = source[i];
    if (char === "'" || char === '"' || char === '`') {
      for (i++; i < source.length && source[i] !== char; i++) if (source[i] === '\\') i++;
    } else if (char === '/' && source[i + 1] === '/') {
      i = source.indexOf('\n', i);
    } else if ('([{'.includes(char) || (angles && char === '<')) {
      open.push(CLOSES[char]);
    } else if (char === open.at(-1) && !(char === '>' && source[i - 1] === '=')) {
      open.pop();
      if (open.length === 0) return i + 1;
    }
  }
  return -1;
}
