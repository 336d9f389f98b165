import { readFileSync } from 'node:fs';
import { defineConfig } from 'tsup';

/** JavaScript only: `tsc -p tsconfig.build.json` writes the declarations. Entries are what `exports` names. */
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
  private?: boolean;
  exports: Record<string, unknown>;
};
const sources = Object.values(manifest.exports).flatMap((target) =>
  typeof target === 'object' && target !== null ? [(target as Record<string, string>)['@nvme-stack/source']] : [],
);

/** Where a name is assigned, other than by a declaration of its own; it may be one of the same name in a function. */
const ASSIGNMENT =
  /(?<!(?:[.\w$]|\b(?:const|let|var) ))([A-Za-z_$][\w$]*) ?(?:=(?![=>])|\+\+|--|[-+*/%&|^?]{1,2}=|<<=|>>>?=)/g;

/** esbuild writes top-level `const` as `var`, and V8 folds only constants into what it compiles: a twelfth of a read's time. */
const keepConstants = {
  name: 'keep-constants',
  renderChunk: (code: string) => {
    const assigned = new Set(Array.from(code.matchAll(ASSIGNMENT), ([, name]) => name));
    return {
      code: code.replace(/^var (?=([\w$]+|\{[^}]*\}) = )/gm, (word, names: string) =>
        names.match(/[\w$]+/g)?.some((name) => assigned.has(name)) ? word : 'const ',
      ),
    };
  },
};

export default defineConfig({
  entry: sources,
  format: 'esm',
  target: 'es2022',
  sourcemap: true,
  clean: true,
  dts: false,
  silent: true,
  tsconfig: 'tsconfig.json',
  plugins: [keepConstants],
  // An application is one piece; a package leaves its dependencies to whoever installs it.
  ...(manifest.private ? { noExternal: [/^@nvme-stack\//] } : {}),
});
