/**
 * Writes the API report of the package in the current directory: `api/<entry>.api.md` for every entry of `exports`
 * that has declarations. With `--check` nothing is written and a report that differs is an error.
 * Needs a build: the reports are taken from `dist/*.d.ts`.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { CompilerState, Extractor, ExtractorConfig } from '@microsoft/api-extractor';

const check = process.argv.includes('--check');
const folder = process.cwd();
const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const entries = Object.values(manifest.exports).flatMap((target) => (target.types ? [resolve(target.types)] : []));
const silent = { default: { logLevel: 'none' } };

mkdirSync('api', { recursive: true });
const configs = entries.map((entry) =>
  ExtractorConfig.prepare({
    configObject: {
      projectFolder: folder,
      mainEntryPointFilePath: entry,
      newlineKind: 'lf',
      compiler: {
        overrideTsconfig: {
          compilerOptions: {
            target: 'ES2022',
            lib: ['ES2022', 'ESNext.Disposable'],
            module: 'NodeNext',
            moduleResolution: 'NodeNext',
            types: entry.endsWith('/node.d.ts') ? ['node'] : [],
            strict: true,
            skipLibCheck: true,
          },
          files: entries,
        },
      },
      apiReport: {
        enabled: true,
        reportFileName: basename(entry, '.d.ts'),
        reportFolder: join(folder, 'api'),
        reportTempFolder: join(folder, 'temp'),
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: { logLevel: 'error' } },
        extractorMessageReporting: {
          ...silent,
          'ae-forgotten-export': { logLevel: 'none', addToApiReportFile: true },
        },
        tsdocMessageReporting: silent,
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(folder, 'package.json'),
  }),
);

let failed = false;
for (const config of configs) {
  const existed = existsSync(config.reportFilePath);
  const result = Extractor.invoke(config, {
    localBuild: !check,
    compilerState: CompilerState.create(config, { additionalEntryPoints: entries }),
    messageCallback: (message) => {
      if (message.logLevel === 'error') process.stderr.write(`${message.text}\n`);
      message.handled = true;
    },
  });
  if (result.errorCount > 0) failed = true;
  if (check && (result.apiReportChanged || !existed)) {
    failed = true;
    process.stderr.write(`${manifest.name}: ${config.reportFilePath} is out of date; run \`pnpm api\`.\n`);
  }
}
process.exitCode = failed ? 1 : 0;
