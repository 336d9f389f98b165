/** Bundles a module and the packages it imports, from their sources, as one script for a browser. */
import { fileURLToPath } from 'node:url';
import { build, type Rolldown } from 'vite';

/** The code of one self-contained ES module. */
export async function bundleForBrowser(entry: URL): Promise<string> {
  const built = (await build({
    configFile: false,
    logLevel: 'error',
    root: fileURLToPath(new URL('.', entry)),
    resolve: { conditions: ['@nvme-stack/source', 'module', 'browser', 'development|production'] },
    build: {
      target: 'es2022',
      minify: false,
      write: false,
      lib: { entry: fileURLToPath(entry), formats: ['es'], fileName: 'page' },
    },
  })) as Rolldown.RolldownOutput[];
  const chunks = built.flatMap(({ output }) => output).filter((part) => part.type === 'chunk');
  if (chunks.length !== 1) throw new Error(`the bundle has ${chunks.length} chunks; a page takes one`);
  return (chunks[0] as Rolldown.OutputChunk).code;
}
