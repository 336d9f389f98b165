/** Debian's Chromium, headless and silent on the network. */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const EXECUTABLE = '/usr/bin/chromium';
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Why there is no browser to test with; null: there is one. */
export function chromiumMissing(): string | null {
  return existsSync(EXECUTABLE)
    ? null
    : `no ${EXECUTABLE} here; install it with: apt-get install --no-install-recommends chromium`;
}

/** Starts it with an empty profile; `close` ends it. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: EXECUTABLE, headless: true, args: ARGUMENTS });
}
