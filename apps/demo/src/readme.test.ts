/** What the READMEs say: examples run as written, the demo's lines come from a real run, links lead somewhere. */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { demo } from './harness.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const text = (path: string): string => readFileSync(join(root, path), 'utf8');
const EXAMPLE = /<!-- runnable -->\n```ts\n([\s\S]*?)```/g;
const PACKAGE_READMES = readdirSync(join(root, 'packages'))
  .map((name) => `packages/${name}/README.md`)
  .filter((path) => existsSync(join(root, path)));
const README_WITH_EXAMPLES = [
  'README.md',
  ...PACKAGE_READMES.filter((path) => text(path).includes('<!-- runnable -->')),
];

/** A user's project with the packages installed. */
let project = '';

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'nvme-stack-readme-'));
  mkdirSync(join(project, 'node_modules/@nvme-stack'), { recursive: true });
  for (const name of readdirSync(join(root, 'packages'))) {
    symlinkSync(join(root, 'packages', name), join(project, 'node_modules/@nvme-stack', name));
  }
  symlinkSync(join(root, 'packages/v86-nvme/node_modules/v86'), join(project, 'node_modules/v86'));
});

afterAll(() => rmSync(project, { recursive: true, force: true }));

describe.each(README_WITH_EXAMPLES)('the examples of %s', (path) => {
  const examples = [...text(path).matchAll(EXAMPLE)].map((match) => match[1] as string);

  it('are there', () => {
    expect(examples.length).toBeGreaterThan(0);
  });

  it.each(examples.map((code, i) => [i + 1, code] as const))('number %i prints what it says', async (number, code) => {
    const file = join(project, `${path.replaceAll('/', '-')}-${number}.ts`);
    writeFileSync(file, code);
    const printed: string[] = [];
    const log = vi.spyOn(console, 'log').mockImplementation((...args) => void printed.push(args.map(String).join(' ')));
    try {
      await import(/* @vite-ignore */ pathToFileURL(file).href);
    } finally {
      log.mockRestore();
    }
    const promised = [...code.matchAll(/console\.log\(.*\);[ \n]\/\/ (.*)/g)].map((match) => match[1]);
    expect(promised.length).toBeGreaterThan(0);
    expect(printed).toEqual(promised);
  });
});

it('every example is sound to a strict compiler', () => {
  const folder = join(project, 'typed');
  mkdirSync(folder);
  const compilerOptions = { types: ['node'], typeRoots: [join(root, 'node_modules/@types')] };
  const config = { extends: join(root, 'tsconfig.base.json'), compilerOptions, include: ['*.ts'] };
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  for (const path of ['README.md', ...PACKAGE_READMES]) {
    [...text(path).matchAll(/```ts\n([\s\S]*?)```/g)].forEach(([, code], i) => {
      writeFileSync(join(folder, `${path.replaceAll('/', '-')}-${i + 1}.ts`), `${code}export {};\n`);
    });
  }
  const { stdout, status } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', folder], { encoding: 'utf8' });
  expect([stdout, status]).toEqual(['', 0]);
}, 120_000);

/** Wall-clock time differs from run to run. */
const timeless = (line: string): string =>
  line.replace(/^[\d.]+ m?s of wall time, [\d ]+ operations/, '# of wall time, # operations');

it('README.md shows lines of a real run, in their order', async () => {
  const shown =
    /<!-- demo output -->\n```text\n([\s\S]*?)```/.exec(text('README.md'))?.[1]?.trimEnd().split('\n') ?? [];
  const { code, out } = await demo(['--operations', '6000']);
  expect(code).toBe(0);
  const lines = out.split('\n');
  let at = 0;
  let skips = true;
  for (const line of shown) {
    if (line === '…') {
      skips = true;
      continue;
    }
    const found = skips ? lines.findIndex((one, i) => i >= at && timeless(one) === timeless(line)) : at;
    expect(timeless(lines[found] ?? ''), `after line ${at} of the run`).toBe(timeless(line));
    at = found + 1;
    skips = false;
  }
  expect(shown.length).toBeGreaterThan(20);
});

const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  ...PACKAGE_READMES,
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

it.each(DOCUMENTS)('every link of %s leads to a file', (path) => {
  const links = [...text(path).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map((match) => match[1] as string);
  const broken = links.filter((link) => !/^https?:/.test(link) && !existsSync(join(root, dirname(path), link)));
  expect(broken).toEqual([]);
});
