/** `pnpm run linux`: real Linux in an emulated PC, with our controller in its slot. */
import { buildAndRun } from './build-and-run.mjs';

await buildAndRun('@nvme-stack/linux-guest', 'apps/linux-guest/dist/cli.js');
