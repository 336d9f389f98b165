/** The entry of `pnpm differential`. Exit codes: 0 nothing unexplained, 1 differences or a run that failed, 2 bad input. */
import { differential, parseOptions, reportText } from './command.js';
import { documentText } from './document.js';

async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (typeof options === 'string') {
    process.stderr.write(`${options}\n`);
    return 2;
  }
  if (options.document) {
    process.stdout.write(documentText());
    return 0;
  }
  const progress = process.stderr.isTTY
    ? (commands: number): void => void process.stderr.write(`\r${commands} of ${options.commands} commands `)
    : undefined;
  try {
    const { commands, seed, from, limit } = options;
    const report = await differential({ commands, seed, from, limit, ...(progress && { onProgress: progress }) });
    process.stdout.write(`${progress === undefined ? '' : '\n'}${reportText(report)}`);
    return report.unexplained.length === 0 ? 0 : 1;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${text}\n`);
    return text.startsWith('there is no ') ? 2 : 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
