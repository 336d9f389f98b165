/**
 * Jiffies: the kernel's coarse time, counted from power-on.
 * Kernel counterpart: include/linux/jiffies.h, kernel/time/timer.c.
 */
import type { Kernel } from './ports.js';
import { NO_CPU } from './ports.js';

/** Jiffies per second. @kernel include/asm-generic/param.h HZ */
export const HZ = 250;

/** Nanoseconds of a jiffy. */
export const NS_PER_JIFFY = 4_000_000;

const MS_PER_JIFFY = 4;
/** Rounding is spread over the CPUs, so that not all of them wake at once. */
const SKEW_PER_CPU = 3;

/** Jiffies since power-on. Any context. @kernel include/linux/jiffies.h jiffies */
export function jiffies(kernel: Kernel): number {
  return Math.floor(kernel.ex.now() / NS_PER_JIFFY);
}

/** Milliseconds (>= 0) as jiffies, rounded up. @kernel kernel/time/time.c __msecs_to_jiffies */
export function msecsToJiffies(ms: number): number {
  return Math.floor((ms + MS_PER_JIFFY - 1) / MS_PER_JIFFY);
}

/** @kernel kernel/time/time.c jiffies_to_msecs */
export function jiffiesToMsecs(count: number): number {
  return count * MS_PER_JIFFY;
}

/** The moment at which `jiffies` becomes `count`, in virtual nanoseconds. */
export function jiffiesToNs(count: number): number {
  return count * NS_PER_JIFFY;
}

/**
 * Moves a moment (in jiffies) to a whole second, down within its first quarter, else up; a moment that would then
 * have passed stays. Any context. @kernel kernel/time/timer.c round_jiffies
 */
export function roundJiffies(kernel: Kernel, moment: number): number {
  return roundCommon(kernel, moment, false);
}

/** The same, always up. Any context. @kernel kernel/time/timer.c round_jiffies_up */
export function roundJiffiesUp(kernel: Kernel, moment: number): number {
  return roundCommon(kernel, moment, true);
}

/** Rounds a span from now, in jiffies. Any context. @kernel kernel/time/timer.c round_jiffies_relative */
export function roundJiffiesRelative(kernel: Kernel, span: number): number {
  const now = jiffies(kernel);
  return roundCommon(kernel, span + now, false) - now;
}

function roundCommon(kernel: Kernel, moment: number, up: boolean): number {
  const { cpu } = kernel.ex;
  const skew = cpu === NO_CPU ? 0 : cpu * SKEW_PER_CPU;
  const skewed = moment + skew;
  const rest = skewed % HZ;
  const rounded = (rest < HZ / 4 && !up ? skewed - rest : skewed - rest + HZ) - skew;
  return rounded > jiffies(kernel) ? rounded : moment;
}
