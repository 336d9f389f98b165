/**
 * CPUs that go off and come back. A CPU climbs and descends through steps that subsystems register; between those that
 * need it and those that clean up behind it, the executor takes it off, and another CPU does what was waiting there.
 * Kernel counterpart: kernel/cpu.c.
 */
import { KernelError } from './errno.js';
import { BugError } from './executor/errors.js';
import type { CpuHotplug, CpuHotplugStep, HasKernel, Kernel, TraceEventType } from './ports.js';
import { CPUHP_AP_ONLINE_DYN, CPUHP_TEARDOWN_CPU } from './ports.js';
import { Mutex, mutexLock, mutexUnlock } from './sync/mutex.js';
import { cpuRelax } from './sync/sleep.js';
import { traced } from './trace/traced.js';

/** @kernel include/trace/events/cpuhp.h cpuhp_enter */
const CPUHP_ENTER: TraceEventType = {
  name: 'cpuhp_enter',
  kind: 'sched',
  fields: ['cpu', 'step', 'up'],
  textField: 'fun',
};

/** The CPU that takes calls which name none; x86 has never been able to do without it. */
const BOOT_CPU = 0;

interface Step {
  readonly state: number;
  readonly step: CpuHotplugStep;
}

export class CpuHotplugImpl implements CpuHotplug, HasKernel {
  readonly kernel: Kernel;
  /** In the order of the way up. */
  readonly steps: Step[] = [];
  /** Held from a CPU's first step to its last. @kernel kernel/cpu.c cpu_add_remove_lock */
  readonly lock: Mutex;
  private readonly online: boolean[];
  private list: readonly number[] = [];

  constructor(kernel: Kernel) {
    this.kernel = kernel;
    this.lock = new Mutex(kernel, 'cpu_add_remove_lock');
    this.online = new Array<boolean>(kernel.nrCpus).fill(true);
    this.listOnline();
  }

  get allOnline(): boolean {
    return this.list.length === this.kernel.nrCpus;
  }

  isOnline(cpu: number): boolean {
    return this.online[cpu] === true;
  }

  onlineCpus(): readonly number[] {
    return this.list;
  }

  register(step: CpuHotplugStep): () => void {
    const state = step.state ?? CPUHP_AP_ONLINE_DYN;
    const entry: Step = { state, step };
    const before = this.steps.findIndex((other) => other.state > state);
    this.steps.splice(before < 0 ? this.steps.length : before, 0, entry);
    return () => {
      const at = this.steps.indexOf(entry);
      if (at >= 0) this.steps.splice(at, 1);
    };
  }

  cpuDown(cpu: number): Promise<void> {
    return cpuDown(this, cpu);
  }

  cpuUp(cpu: number): Promise<void> {
    return cpuUp(this, cpu);
  }

  setOnline(cpu: number, online: boolean): void {
    this.online[cpu] = online;
    this.listOnline();
  }

  /** Who does the work of a CPU that is off: the first online one, of its node where there is one. */
  standIn(cpu: number): number {
    const { kernel } = this;
    const others = this.list.filter((other) => other !== cpu);
    return others.find((other) => kernel.cpuToNode(other) === kernel.cpuToNode(cpu)) ?? (others[0] as number);
  }

  private listOnline(): void {
    this.list = this.online.flatMap((online, cpu) => (online ? [cpu] : []));
  }
}

/** @kernel kernel/cpu.c cpu_down */
const cpuDown = traced('cpu_down', async (hp: CpuHotplugImpl, cpu: number): Promise<void> => {
  checkNumber(hp, 'cpu_down', cpu);
  await mutexLock(hp.lock);
  try {
    if (!hp.isOnline(cpu)) return;
    if (hp.onlineCpus().length === 1) throw new KernelError('EBUSY', `cpu_down: CPU ${cpu} is the last one online`);
    if (cpu === BOOT_CPU) throw new KernelError('EPERM', `cpu_down: CPU ${cpu} cannot go off`);
    await leaveCpu(hp, cpu);
    await descendOnline(hp, cpu, hp.steps.length);
    await goOff(hp, cpu);
  } finally {
    mutexUnlock(hp.lock);
  }
});

/** @kernel kernel/cpu.c cpu_up */
const cpuUp = traced('cpu_up', async (hp: CpuHotplugImpl, cpu: number): Promise<void> => {
  checkNumber(hp, 'cpu_up', cpu);
  await mutexLock(hp.lock);
  try {
    if (hp.isOnline(cpu)) return;
    await climb(hp, cpu);
  } finally {
    mutexUnlock(hp.lock);
  }
});

function checkNumber({ kernel }: CpuHotplugImpl, what: string, cpu: number): void {
  if (cpu >= 0 && cpu < kernel.nrCpus && cpu === Math.floor(cpu)) return;
  throw new KernelError('EINVAL', `${what}: cpu is ${cpu}; allowed: a whole number from 0 to ${kernel.nrCpus - 1}`);
}

/** The caller goes on elsewhere when it stands on the CPU that is to go. */
async function leaveCpu(hp: CpuHotplugImpl, cpu: number): Promise<void> {
  const { ex } = hp.kernel;
  if (ex.current.cpu !== cpu) return;
  ex.current.cpu = hp.standIn(cpu);
  await cpuRelax(hp);
}

/** The steps that need the CPU, from below `from` down; one that fails puts back those before it. */
async function descendOnline(hp: CpuHotplugImpl, cpu: number, from: number): Promise<void> {
  const { steps } = hp;
  for (let at = from - 1; at >= 0 && (steps[at] as Step).state > CPUHP_TEARDOWN_CPU; at--) {
    try {
      await invoke(hp, at, cpu, false);
    } catch (error) {
      if (BugError.is(error)) throw error;
      for (let back = at + 1; back < from; back++) await mustNotFail(hp, back, cpu, true);
      throw error;
    }
  }
}

/** The CPU goes off, in one piece; then those clean up behind it who have something there. @kernel kernel/cpu.c takedown_cpu */
async function goOff(hp: CpuHotplugImpl, cpu: number): Promise<void> {
  const { steps, kernel } = hp;
  hp.setOnline(cpu, false);
  let at = steps.length - 1;
  while (at >= 0 && (steps[at] as Step).state > CPUHP_TEARDOWN_CPU) at--;
  for (; at >= 0 && (steps[at] as Step).state === CPUHP_TEARDOWN_CPU; at--) atOnce(hp, at, cpu);
  kernel.ex.retireCpu(cpu, hp.standIn(cpu));
  kernel.printk.print('info', `smpboot: CPU ${cpu} is now offline`);
  for (; at >= 0; at--) await mustNotFail(hp, at, cpu, false);
}

/** @kernel kernel/cpu.c cpuhp_up_callbacks */
async function climb(hp: CpuHotplugImpl, cpu: number): Promise<void> {
  const { steps, kernel } = hp;
  let at = 0;
  for (; at < steps.length && (steps[at] as Step).state <= CPUHP_TEARDOWN_CPU; at++)
    await mustNotFail(hp, at, cpu, true);
  const apicId = cpu.toString(16);
  kernel.printk.print('info', `smpboot: Booting Node ${kernel.cpuToNode(cpu)} Processor ${cpu} APIC 0x${apicId}`);
  kernel.ex.reviveCpu(cpu);
  hp.setOnline(cpu, true);
  for (; at < steps.length; at++) {
    try {
      await invoke(hp, at, cpu, true);
    } catch (error) {
      if (BugError.is(error)) throw error;
      await descendOnline(hp, cpu, at);
      await goOff(hp, cpu);
      throw error;
    }
  }
}

async function mustNotFail(hp: CpuHotplugImpl, at: number, cpu: number, up: boolean): Promise<void> {
  try {
    await invoke(hp, at, cpu, up);
  } catch (error) {
    if (BugError.is(error)) throw error;
    const what = error instanceof Error ? error.message : String(error);
    hp.kernel.ex.bug(`CPU step ${(hp.steps[at] as Step).step.name} of CPU ${cpu} may not fail here: ${what}`);
  }
}

function atOnce(hp: CpuHotplugImpl, at: number, cpu: number): void {
  const { name } = (hp.steps[at] as Step).step;
  if (invoke(hp, at, cpu, false) !== undefined) hp.kernel.ex.bug(`CPU step ${name} sleeps where the CPU goes off`);
}

/** @kernel kernel/cpu.c cpuhp_invoke_callback */
function invoke(hp: CpuHotplugImpl, at: number, cpu: number, up: boolean): Promise<void> | void {
  const { state, step } = hp.steps[at] as Step;
  const fn = up ? step.startup : step.teardown;
  if (fn === undefined) return undefined;
  const { trace } = hp.kernel;
  if (trace.events) trace.event(CPUHP_ENTER, cpu, state, up ? 1 : 0, 0, step.name);
  return fn.call(step, cpu);
}
