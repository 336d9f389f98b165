/**
 * Sleeping for a time, and one turn of a spin.
 * Kernel counterpart: kernel/time/sleep_timeout.c, include/linux/delay.h.
 */
import type { HasKernel, WaitList } from '../ports.js';
import { PARK_TIMEOUT } from '../ports.js';

const NS_PER_MS = 1_000_000;
const NS_PER_US = 1000;

/** Sleeps `ns` nanoseconds of virtual time. Task context. */
export async function sleepNs(self: HasKernel, ns: number): Promise<void> {
  const { ex } = self.kernel;
  await ex.park('a sleep', null, ns);
  ex.awake();
}

/** @kernel kernel/time/sleep_timeout.c msleep */
export async function msleep(self: HasKernel, ms: number): Promise<void> {
  const { ex } = self.kernel;
  await ex.park(`msleep(${ms})`, null, ms * NS_PER_MS);
  ex.awake();
}

/** Sleeps between the two bounds; here always the lower one. @kernel kernel/time/sleep_timeout.c usleep_range_state */
export async function usleepRange(self: HasKernel, minUs: number, _maxUs: number): Promise<void> {
  const { ex } = self.kernel;
  await ex.park(`usleep_range(${minUs})`, null, minUs * NS_PER_US);
  ex.awake();
}

/** Parks on `list` for at most `ns`; true when woken. @kernel kernel/time/sleep_timeout.c schedule_timeout */
export async function scheduleTimeout(self: HasKernel, what: string, list: WaitList, ns: number): Promise<boolean> {
  const { ex } = self.kernel;
  const value = await ex.park(what, list, ns);
  ex.awake();
  return value !== PARK_TIMEOUT;
}

/** One turn of a spin loop: everything else goes on for `costs.relaxNs`. Task context. @kernel include/linux/processor.h cpu_relax */
export async function cpuRelax(self: HasKernel): Promise<void> {
  const { ex, costs } = self.kernel;
  await ex.park('cpu_relax', null, costs.relaxNs);
  ex.awake();
}
