/** Bundles a module and the packages it imports, from their sources, as one script for Node. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

/** A script on disk, and what removes it. */
export async function bundleForNode(entry: URL): Promise<{ readonly path: string; remove(): void }> {
  const outDir = mkdtempSync(join(tmpdir(), 'nvme-stack-bundle-'));
  await build({
    configFile: false,
    logLevel: 'error',
    root: fileURLToPath(new URL('.', entry)),
    ssr: {
      noExternal: true,
      resolve: { conditions: ['@nvme-stack/source', 'module', 'node', 'development|production'] },
    },
    build: {
      target: 'es2022',
      minify: false,
      outDir,
      emptyOutDir: true,
      ssr: fileURLToPath(entry),
      rollupOptions: { output: { entryFileNames: 'script.mjs' } },
    },
  });
  return { path: join(outDir, 'script.mjs'), remove: () => rmSync(outDir, { recursive: true, force: true }) };
}
