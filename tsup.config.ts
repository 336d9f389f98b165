import { readFileSync } from 'node:fs';
import { defineConfig } from 'tsup';

/** JavaScript only: `tsc -p tsconfig.build.json` writes the declarations. Entries are what `exports` names. */
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { exports: Record<string, unknown> };
const sources = Object.values(manifest.exports).flatMap((target) =>
  typeof target === 'object' && target !== null ? [(target as Record<string, string>)['@nvme-stack/source']] : [],
);

export default defineConfig({
  entry: sources,
  format: 'esm',
  target: 'es2022',
  sourcemap: true,
  clean: true,
  dts: false,
  silent: true,
  tsconfig: 'tsconfig.json',
});
