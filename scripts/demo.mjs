/** `pnpm demo`: the run from insmod to I/O. */
import { buildAndRun } from './build-and-run.mjs';

await buildAndRun('@nvme-stack/demo', 'apps/demo/dist/cli.js');
