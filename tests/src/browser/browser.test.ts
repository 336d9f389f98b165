/** The same scenario in Chromium: the same machine, the same run, the same hash as in Node. */
import { createMachine, type MachineDescription } from '@nvme-stack/machine';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runScenario, SCENARIO_MACHINE, type ScenarioResult } from '../determinism/scenario.js';
import { bundleForBrowser } from './bundle.js';
import { chromiumMissing, launchChromium } from './chromium.js';
import type { ScenarioPage } from './page.js';

const missing = chromiumMissing();
if (missing !== null) console.log(`skipped: ${missing}`);

const START_TIMEOUT_MS = 60_000;

describe.skipIf(missing !== null)('a scenario in Chromium', () => {
  let browser: Browser;
  let page: Page;
  const errors: string[] = [];

  beforeAll(async () => {
    const code = await bundleForBrowser(new URL('page.ts', import.meta.url));
    browser = await launchChromium();
    page = await browser.newPage();
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.addScriptTag({ content: code, type: 'module' });
    await page.waitForFunction(() => 'scenarioPage' in globalThis);
  }, START_TIMEOUT_MS);

  afterAll(() => browser?.close());

  const inPage = (description: MachineDescription): Promise<ScenarioResult> =>
    page.evaluate(
      (wanted) => (globalThis as unknown as { scenarioPage: ScenarioPage }).scenarioPage.runScenario(wanted),
      description,
    );

  it.each<[string, MachineDescription]>([
    ['by default', {}],
    ['with another seed that chooses', { seed: 11, interleave: true }],
    ['with hashes only', { trace: 'hash' }],
  ])(
    'gives the trace hash of Node %s',
    async (_, change) => {
      const description = { ...SCENARIO_MACHINE, ...change };
      const here = await runScenario(await createMachine(description));
      const there = await inPage(description);
      expect(there).toEqual(here);
      expect(there).toMatchObject({ wrongBytes: 0, leaks: [] });
      expect(errors).toEqual([]);
    },
    START_TIMEOUT_MS,
  );

  it('runs two machines at once in one page', async () => {
    const [one, two] = await Promise.all([inPage(SCENARIO_MACHINE), inPage(SCENARIO_MACHINE)]);
    expect(one).toEqual(two);
  });
});
