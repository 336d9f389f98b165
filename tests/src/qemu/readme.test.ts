/** The example of platform-qemu's README, run. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { missing } from './with-qemu.js';

describe.skipIf(missing !== null)('the README of platform-qemu', () => {
  it('has an example that does what it says', async () => {
    const readme = readFileSync(new URL('../../../packages/platform-qemu/README.md', import.meta.url), 'utf8');
    const example = /```ts\n([\s\S]+?)```/.exec(readme)?.[1] ?? '';
    const said: unknown[] = [];
    const modules: Record<string, () => Promise<object>> = {
      '@nvme-stack/machine': () => import('@nvme-stack/machine'),
      '@nvme-stack/machine/node': () => import('@nvme-stack/machine/node'),
      '@nvme-stack/platform-qemu/node': () => import('@nvme-stack/platform-qemu/node'),
    };
    const body = example.replaceAll(/^import (\{.*\}) from '(.*)';$/gm, "const $1 = await load('$2');");
    const AsyncFunction = (async () => {}).constructor as new (
      ...parts: string[]
    ) => (...values: unknown[]) => Promise<void>;
    await new AsyncFunction('load', 'console', body)((name: string) => modules[name]?.(), {
      log: (value: unknown) => said.push(value),
    });
    expect(said).toEqual([7, { status: 'prelaunch', running: false, singlestep: false }]);
  });
});
