/** `pnpm differential`: one stream of commands to our controller and to QEMU's. A failed build has exit code 3. */
import { buildAndRun } from './build-and-run.mjs';

await buildAndRun('@nvme-stack/tests', 'tests/dist/differential/cli.js', 3);
