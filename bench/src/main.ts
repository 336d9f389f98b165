/**
 * The bench: no data moved, 4 KiB random reads, insmod to first I/O. Each figure is measured in a process of its own,
 * rounds of ours and of the yardsticks in turn, and the median counts. With `--gate` a missed bound is a failure.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { INSMOD_MS, median, NULL_READ_RATIO, READ_RATIO, ratioVerdict, table, type Verdict } from './bounds.js';
import { type InsmodTimes, measureInsmod } from './insmod.js';
import { measureReads } from './io-loop.js';
import { type BesideQemu, besideQemu, besideQemuText } from './qemu.js';
import { fioNull, memcpy } from './yardsticks.js';

const ROUNDS = 9;
const READS = 2_000_000;
/** V8 inlines little across functions by default: for what C's -O3 does, a program asks. It is a fifteenth of a read. */
const INLINING = ['--max-inlined-bytecode-size=1500', '--max-inlined-bytecode-size-cumulative=3000'];
const MEASURE = '--measure';

type Figure = 'null' | 'read' | 'insmod' | 'qemu';

const FIGURES: Record<Figure, () => Promise<unknown>> = {
  null: () => measureReads(false, READS),
  read: () => measureReads(true, READS),
  insmod: measureInsmod,
  qemu: besideQemu,
};

/** Measures in a fresh process, which may collect its garbage when it wants to. */
function inProcess<T>(figure: Figure): T {
  const self = fileURLToPath(import.meta.url);
  return JSON.parse(
    execFileSync(process.execPath, ['--expose-gc', ...INLINING, self, MEASURE, figure], { encoding: 'utf8' }),
  ) as T;
}

function bench(): Verdict[] {
  const fio = fioNull();
  if (fio === null) console.log('no fio here; install it with: apt-get install --no-install-recommends fio');
  const copy = memcpy();
  if (!copy.isC) console.log('no gcc here: the yardstick for copies is Node’s own copyWithin');
  const ns = { fio: [] as number[], copy: [] as number[], null: [] as number[], read: [] as number[] };
  const insmod: InsmodTimes[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    if (fio !== null) ns.fio.push(fio.measure());
    ns.null.push(inProcess('null'));
    ns.copy.push(copy.measure());
    ns.read.push(inProcess('read'));
    insmod.push(inProcess('insmod'));
  }
  copy.close();
  const warmMs = median(insmod.map((times) => times.warmMs));
  const coldMs = median(insmod.map((times) => times.coldMs));
  const bootMs = median(insmod.map((times) => times.bootMs));
  return [
    ratioVerdict(
      'no data moved, depth 32',
      median(ns.null),
      fio === null ? null : { name: fio.name, ns: median(ns.fio) },
      NULL_READ_RATIO,
    ),
    ratioVerdict('4 KiB random read, depth 32', median(ns.read), { name: copy.name, ns: median(ns.copy) }, READ_RATIO),
    {
      name: 'insmod to first I/O, warm',
      measured: `${warmMs.toFixed(1)} ms`,
      bound: `at most ${INSMOD_MS} ms (cold ${coldMs.toFixed(1)} ms after a cold boot of ${bootMs.toFixed(1)} ms)`,
      kept: warmMs <= INSMOD_MS,
    },
  ];
}

const [option, figure] = process.argv.slice(2);
if (option === MEASURE) {
  console.log(JSON.stringify(await FIGURES[figure as Figure]()));
} else if (option !== undefined && option !== '--gate') {
  console.error(`${option} is not known; allowed: --gate`);
  process.exitCode = 2;
} else {
  const verdicts = bench();
  console.log(
    `Node ${process.version} ${INLINING.join(' ')}, medians of ${ROUNDS} rounds in turn\n\n${table(verdicts)}`,
  );
  const beside = inProcess<BesideQemu[] | null>('qemu');
  if (beside === null)
    console.log('no QEMU here; install it with: apt-get install --no-install-recommends qemu-system-x86');
  else console.log(`the same driver on both controllers\n\n${besideQemuText(beside)}\n`);
  if (option === '--gate' && verdicts.some(({ kept }) => kept === false)) process.exitCode = 1;
}
