/** The command line of `pnpm golden`. */
import type { KernelProfile } from '@nvme-stack/kernel/ports';
import { BadInput } from './capture-file.js';
import { NOT_MODELLED, UNRELATED_CALLS, UNRELATED_WORK } from './not-modelled.js';
import { HIDDEN_FRAMES, INTERRUPT_ENTRIES, RESUMPTIONS } from './reading-tables.js';

export interface GoldenArguments {
  readonly help: boolean;
  readonly profile: KernelProfile;
  readonly against: readonly string[];
  /** A file with a machine description in JSON; null for the captured machine's. */
  readonly machine: string | null;
  /** Whose controller the driver drives. */
  readonly platform: 'sim' | 'qemu';
}

const PROFILES: readonly KernelProfile[] = ['6.12', '6.1', '4.13', '4.10'];

/** Reads the arguments; throws BadInput. */
export function parseArguments(args: readonly string[]): GoldenArguments {
  let profile: KernelProfile = '6.12';
  let machine: string | null = null;
  let platform: 'sim' | 'qemu' = 'sim';
  const against: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const [option, attached] = split(args[i]);
    const value = (): string => {
      const text = attached ?? args[++i];
      if (text === undefined || text.startsWith('--'))
        throw new BadInput(`${option} needs a value; see pnpm golden --help.`);
      return text;
    };
    if (option === '--help' || option === '-h') return { help: true, profile, against, machine, platform };
    if (option === '--') continue;
    if (option === '--profile') profile = profileOf(value());
    else if (option === '--machine') machine = value();
    else if (option === '--platform') platform = platformOf(value());
    else if (option === '--against') {
      against.push(value());
      while (i + 1 < args.length && !args[i + 1].startsWith('-')) against.push(args[++i]);
    } else
      throw new BadInput(
        `"${args[i]}" is no option; allowed are --profile, --against, --machine, --platform and --help.`,
      );
  }
  if (against.length === 0) throw new BadInput('--against is missing: name the capture files to compare with.');
  return { help: false, profile, against, machine, platform };
}

function split(arg: string): [option: string, attached: string | undefined] {
  const at = arg.startsWith('--') ? arg.indexOf('=') : -1;
  return at < 0 ? [arg, undefined] : [arg.slice(0, at), arg.slice(at + 1)];
}

function profileOf(text: string): KernelProfile {
  const profile = PROFILES.find((each) => each === text);
  if (profile === undefined)
    throw new BadInput(`--profile "${text}" is not allowed; it must be one of ${PROFILES.join(', ')}.`);
  return profile;
}

function platformOf(text: string): 'sim' | 'qemu' {
  if (text !== 'sim' && text !== 'qemu')
    throw new BadInput(`--platform "${text}" is not allowed; it must be one of sim, qemu.`);
  return text;
}

/** The text of --help, with every table that decides what is compared. */
export function helpText(): string {
  const notModelled = NOT_MODELLED.map(({ symbols, below, reason }) => [
    below === undefined ? symbols : `${symbols} below ${below}`,
    reason,
  ]);
  const unrelated = [...UNRELATED_CALLS].map(([symbol, why]) => [`${symbol} alone below ${UNRELATED_WORK}`, why]);
  const hidden = HIDDEN_FRAMES.map((frame) => [
    `${frame.symbol} indented below ${frame.below}`,
    `really below ${frame.hidden}: ${frame.why}`,
  ]);
  const resumed = RESUMPTIONS.map((each) => [`${each.symbol} goes on in ${each.within}`, each.why]);
  return `pnpm golden --profile 6.12 --against FILE… [--machine FILE] [--platform sim|qemu]

Runs the machine (modprobe nvme, a 4 KiB read, a 64 KiB write, reset_controller, rmmod) and compares it with captures
of real Linux: function calls of an insmod or of I/O, or QEMU's pci_nvme_* trace. Prints what is missing, inverted or
different, each with its line in the capture; exits with 1 when there is any, with 2 when the input cannot be used.

  --profile    6.12 (default), 6.1, 4.13 or 4.10: the kernel to follow
  --against    the capture files, told apart by their content
  --machine    a machine description in JSON instead of the captured machine's
  --platform   sim (default): our controller; qemu: QEMU's own, whose trace is then compared

Function calls: each captured thread must be contained in one of ours, in order and below the same callers; ours may do
more. An interrupt is a thread of its own, beginning at ${[...INTERRUPT_ENTRIES].join(', ')}.
Suffixes such as .part.0, .isra.0, .constprop.0 and .cold do not count.
Device: registers in order and with values (polls of CSTS count once), admin commands and I/O commands in order and
with their fields, tails, and completions given back. Not compared: addresses, command identifiers, times, CPUs and so
the numbers of I/O queues in use, where the event request falls in the scan, how many completions one interrupt
covers, shadow doorbells, event indexes, map_addr.

Not modelled, so not compared:
${table(notModelled)}
Other work of the captured machine, not compared:
${table([[`${UNRELATED_WORK} alone`, "the work's own function is not in the capture's filter"], ...unrelated])}
Callers that the capture's filter hides:
${table(hidden)}
Threads that go on where another CPU's line seems to stand alone:
${table(resumed)}`;
}

function table(rows: readonly (readonly string[])[]): string {
  return rows.map(([what, why]) => `  ${what}\n      ${why}\n`).join('');
}
