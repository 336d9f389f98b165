/** What the feature tests share: machines with small disks, patterns, faults that come and go, and looks at the log. */
import { createMachine, type Machine, type MachineDescription, type MachineOptions } from '@nvme-stack/machine';
import type { FaultPlan } from '@nvme-stack/nvme-controller/ports';

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const SECOND_NS = 1e9;
/** Where the first controller stands. */
export const NVME_BDF = '0000:00:03.0';

/** A machine with one controller of one 8 MiB namespace, unless told; its trace is off. */
export function machineWith(
  nvme: NonNullable<MachineDescription['nvme']>[number] = {},
  more: MachineDescription = {},
  options: MachineOptions = {},
): Promise<Machine> {
  return createMachine({ trace: 'off', nvme: [{ namespaces: [{ sizeMiB: 8 }], ...nvme }], ...more }, options);
}

/** The same with the driver loaded. */
export async function running(...args: Parameters<typeof machineWith>): Promise<Machine> {
  const machine = await machineWith(...args);
  await machine.modprobe('nvme');
  return machine;
}

/** A fault plan whose parts may be set and taken back while the machine runs. */
export class Faults implements FaultPlan {
  onCommand: NonNullable<FaultPlan['command']> = () => null;
  onCompletion: NonNullable<FaultPlan['completion']> = () => null;
  losesInterrupt: NonNullable<FaultPlan['interrupt']> = () => false;
  becomesReady: NonNullable<FaultPlan['ready']> = () => true;

  command(...args: Parameters<NonNullable<FaultPlan['command']>>): ReturnType<NonNullable<FaultPlan['command']>> {
    return this.onCommand(...args);
  }

  completion(
    ...args: Parameters<NonNullable<FaultPlan['completion']>>
  ): ReturnType<NonNullable<FaultPlan['completion']>> {
    return this.onCompletion(...args);
  }

  interrupt(cqid: number, vector: number): ReturnType<NonNullable<FaultPlan['interrupt']>> {
    return this.losesInterrupt(cqid, vector);
  }

  ready(): ReturnType<NonNullable<FaultPlan['ready']>> {
    return this.becomesReady();
  }

  /** Nothing goes wrong from now on. */
  clear(): void {
    this.onCommand = () => null;
    this.onCompletion = () => null;
    this.losesInterrupt = () => false;
    this.becomesReady = () => true;
  }
}

/** Bytes that tell their own place and `salt`. */
export function pattern(length: number, salt = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 7 + Math.floor(i / 251) + salt * 31 + 1) & 0xff;
  return bytes;
}

/** The index of the first byte that differs, or -1. */
export function firstDifference(left: Uint8Array, right: Uint8Array): number {
  if (left.length !== right.length) return Math.min(left.length, right.length);
  return left.findIndex((byte, i) => byte !== right[i]);
}

/** Log lines without their time stamps. */
export function log(machine: Machine): string[] {
  return machine.dmesg().map((line) => line.replace(/^\[ *[\d.]+\] /, ''));
}

/** The code of the KernelError a call fails with; null when it does not. */
export async function codeOf(call: Promise<unknown>): Promise<string | null> {
  try {
    await call;
    return null;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

/** Unloads both modules and says what is left of them. */
export async function leftBehind(machine: Machine): Promise<unknown[]> {
  await machine.rmmod('nvme');
  await machine.rmmod('nvme_core');
  return machine.leaks();
}

/** /proc/interrupts as name → counts per CPU. */
export function interrupts(machine: Machine): Map<string, number[]> {
  const counts = new Map<string, number[]>();
  for (const line of machine.procfs.read('/proc/interrupts').split('\n').slice(1)) {
    const words = line.trim().split(/\s+/);
    if (!/^\d+:$/.test(words[0] as string)) continue;
    counts.set(words[words.length - 1] as string, words.slice(1, 1 + machine.description.cpus).map(Number));
  }
  return counts;
}
