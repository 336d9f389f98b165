/** The command `pnpm golden` without its process: files in, text out, exit code returned. */
import type { KernelProfile } from '@nvme-stack/kernel/ports';
import type { MachineDescription } from '@nvme-stack/machine';
import { helpText, parseArguments } from './arguments.js';
import { BadInput, readCapture } from './capture-file.js';
import { checkProfile, compareCapture, report } from './compare.js';
import { type CreateMachine, capturedMachine, type GoldenMachine, goldenRun } from './machine-run.js';

/** What the command needs of its surroundings. */
export interface Surroundings {
  /** A file's text; throws when it cannot be read. */
  readFile(path: string): string;
  out(text: string): void;
  error(text: string): void;
  readonly createMachine: CreateMachine;
  /** The same machine with QEMU's controller. */
  readonly createOnQemu: CreateMachine;
}

/** Exit codes: 0 no difference, 1 differences or a run that failed, 2 input that cannot be used. */
export async function golden(args: readonly string[], around: Surroundings): Promise<number> {
  try {
    return await run(args, around);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    around.error(error instanceof BadInput ? `${text}\n` : `The run failed: ${text}\n`);
    return error instanceof BadInput ? 2 : 1;
  }
}

async function run(args: readonly string[], around: Surroundings): Promise<number> {
  const { help, profile, against, machine, platform } = parseArguments(args);
  if (help) {
    around.out(helpText());
    return 0;
  }
  const captures = against.map((path) => readCapture(path, text(path, around)));
  for (const capture of captures) checkProfile(capture, profile);
  const description = machine === null ? capturedMachine(profile) : describedMachine(machine, profile, around);
  const ours = await goldenRun((wanted) => create(wanted, machine, around, platform), description);
  let code = 0;
  for (const capture of captures) {
    const comparison = compareCapture(capture, ours);
    around.out(report(capture, comparison));
    if (comparison.findings.length > 0) code = 1;
  }
  return code;
}

/** A description that the machine refuses is bad input. */
async function create(
  description: MachineDescription,
  path: string | null,
  around: Surroundings,
  platform: 'sim' | 'qemu',
): Promise<GoldenMachine> {
  try {
    return await (platform === 'qemu' ? around.createOnQemu(description) : around.createMachine(description));
  } catch (error) {
    const { name, message } = error as Error;
    if (!(error instanceof RangeError) && name !== 'QemuError') throw error;
    throw new BadInput(path === null ? `${message}.` : `${path}: ${message}.`);
  }
}

function describedMachine(path: string, profile: KernelProfile, around: Surroundings): MachineDescription {
  let value: unknown;
  try {
    value = JSON.parse(text(path, around));
  } catch (error) {
    if (error instanceof BadInput) throw error;
    throw new BadInput(`${path} is no JSON: ${(error as Error).message}.`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new BadInput(`${path} must hold one JSON object, a machine description.`);
  }
  return { ...value, profile } as MachineDescription;
}

function text(path: string, around: Surroundings): string {
  try {
    return around.readFile(path);
  } catch (error) {
    throw new BadInput(`${path} cannot be read: ${(error as Error).message}.`);
  }
}
