/** `pnpm golden`: compares a run with what Linux did. A failed build is an error of the comparer: exit code 3. */
import { buildAndRun } from './build-and-run.mjs';

await buildAndRun('@nvme-stack/tests', 'tests/dist/golden/cli.js', 3);
