/** Bad input is refused in one sentence, before anything is fetched or booted. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { main } from './main.js';
import { parseOptions } from './options.js';

let folder: string;
const file = (name: string, content: string): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'linux-guest-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function refuse(...argv: string[]): Promise<string> {
  const said: string[] = [];
  const io = { out: () => {}, error: (text: string): void => void said.push(text), keyboard: () => () => {} };
  expect(await main(argv, io)).toBe(2);
  const text = said.join('');
  expect(text.trim().split('\n')).toHaveLength(1);
  return text;
}

describe('the command line', () => {
  it('refuses what it does not know', async () => {
    expect(await refuse('--nope')).toMatch(/^--nope is not an option; allowed: --script, /);
    expect(await refuse('word')).toMatch(/^"word" is no argument of linux; allowed: /);
    expect(await refuse('--fault')).toBe('--fault has no value; allowed: the path of a file after it.\n');
  });

  it('refuses files it cannot read or use', async () => {
    expect(await refuse('--script', join(folder, 'none'))).toMatch(
      /which cannot be read \(ENOENT\); allowed: a file\.$/m,
    );
    expect(await refuse('--fault', file('a.json', '{'))).toMatch(/is no JSON; allowed: a JSON object\.$/m);
    expect(await refuse('--image', file('a.img', 'x'))).toMatch(/has 1 bytes; allowed: a positive multiple of 512\.$/m);
  });

  it('has plans and controllers checked by the part that uses them', async () => {
    const plan = file('plan.json', '{"faults":[{"kind":"melt"}]}');
    expect(await refuse('--fault', plan)).toMatch(
      /^--fault: faults\.faults\[0\]\.kind "melt" is not allowed: it must be one of /,
    );
    const controller = file('controller.json', '{"mdts":99,"namespaces":[]}');
    expect(await refuse('--controller', controller)).toBe(
      '--controller: mdts 99 is not allowed: it must be a whole number from 0 to 15.\n',
    );
    expect(await refuse('--controller', file('null.json', 'null'))).toMatch(/^--controller: /);
  });

  it('takes a script, a plan, a controller and an image', () => {
    const options = parseOptions([
      '--script',
      file('run.sh', 'true\n'),
      '--fault',
      file('good.json', '{"faults":[{"kind":"media-error","command":"read"}]}'),
      '--image',
      file('disk.img', '\0'.repeat(4096)),
      '--trace',
      '--no-driver',
    ]);
    expect(options).toEqual({
      script: 'true\n',
      trace: true,
      driver: false,
      faults: { faults: [{ kind: 'media-error', command: 'read' }] },
      controller: { namespaces: [{ sizeBytes: 4096 }] },
      image: join(folder, 'disk.img'),
    });
  });

  it('prints its help', () => {
    expect(parseOptions(['--help'])).toContain('--fault <file>');
  });
});
