/** The demo without its process: arguments in, text out, exit code returned. */
import { toJson } from './json.js';
import { BadInput, type DemoOptions, parseOptions } from './options.js';
import { createPaint } from './paint.js';
import { runDemo } from './run.js';
import { screens } from './screens/index.js';

/** Where the demo's text goes. */
export interface DemoIo {
  out(text: string): void;
  error(text: string): void;
  /** Whether `out` is shown where colours are. */
  readonly colour: boolean;
}

/** Runs the demo. Exit codes: 0 done, 1 the run failed, 2 input that cannot be used. Never throws. */
export async function main(argv: readonly string[], io: DemoIo): Promise<number> {
  let options: DemoOptions | string;
  try {
    options = parseOptions(argv);
  } catch (error) {
    if (!(error instanceof BadInput)) throw error;
    io.error(`${error.message}\n`);
    return 2;
  }
  if (typeof options === 'string') {
    io.out(options);
    return 0;
  }
  try {
    const demo = await runDemo(options);
    io.out(options.json ? toJson(demo) : screens(demo, createPaint(io.colour)));
    return demo.leaks.length === 0 && demo.io.every(({ verified }) => verified) ? 0 : 1;
  } catch (error) {
    io.error(`The run failed: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}
