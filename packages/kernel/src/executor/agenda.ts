/**
 * The agenda: what is ready to run, on which CPU, and what becomes ready later. It keeps the machine's clock.
 *
 * Device events have no CPU and come first. Every other item waits at its CPU, hardirq before softirq before tasks; a
 * CPU that is free and has something to run stands in a ring and is served in turn. A busy CPU enters the ring when
 * the time it was charged for has passed. A seed may choose among the device events and, on each CPU, among the items
 * of the first class that has one: no choice lets a task pass an interrupt of its own CPU.
 */
import { CpuRing } from './cpu-ring.js';
import type { WorkItem } from './item.js';
import { CLASS_CPU_FREE, CLASS_DEVICE, CLASS_SOFTIRQ, CLASS_TASK, IDLE, ItemList, READY, TIMED } from './item.js';
import { TaskImpl } from './task.js';
import { TimedQueue } from './timed-queue.js';
import { VirtualCpu } from './virtual-cpu.js';

export class Agenda {
  /** Virtual nanoseconds since power-on, at which the running item started. */
  timeNs = 0;
  /** By number. In the place of a CPU that is off stands the one that does its work: no look-up asks who is on. */
  readonly cpus: VirtualCpu[] = [];
  private readonly allCpus: VirtualCpu[];
  private readonly devices = new ItemList();
  private readonly timed = new TimedQueue();
  private readonly ring = new CpuRing();
  /** Chooses one of n ready items; null: first in, first out. */
  private readonly choose: ((n: number) => number) | null;

  constructor(nrCpus: number, choose: ((n: number) => number) | null) {
    this.choose = choose;
    for (let id = 0; id < nrCpus; id++) this.cpus.push(new VirtualCpu(id, new TaskImpl(0, '<idle>', id)));
    this.allCpus = [...this.cpus];
  }

  /** Time of the earliest timed item; Infinity when there is none. */
  nextTimeNs(): number {
    return this.timed.firstTimeNs();
  }

  /** Whether a device event is ready, or a free CPU has something to run. */
  hasReady(): boolean {
    return this.devices.size > 0 || this.ring.head !== null;
  }

  /** When a timed item is due. */
  timeOf(work: WorkItem): number {
    return this.timed.timeOf(work);
  }

  /** Makes an idle item ready now. */
  makeReady(work: WorkItem): void {
    work.state = READY;
    if (work.rank === CLASS_DEVICE) {
      this.devices.push(work);
      return;
    }
    const cpu = this.cpus[work.cpu] as VirtualCpu;
    cpu.push(work);
    if (!cpu.running && !cpu.inRing) this.offer(cpu);
  }

  /** Makes an idle item ready at `timeNs`. */
  makeTimed(work: WorkItem, timeNs: number): void {
    work.state = TIMED;
    this.timed.push(work, timeNs);
  }

  /** Takes a pending item back. */
  unlink(work: WorkItem): void {
    if (work.state === TIMED) this.timed.remove(work);
    else if (work.rank === CLASS_DEVICE) this.devices.remove(work);
    else (this.cpus[work.cpu] as VirtualCpu).remove(work);
    work.state = IDLE;
    work.posted = false;
  }

  /** Takes the next ready item, which is idle from then on; null when none is ready. */
  takeReady(): WorkItem | null {
    return taken(this.choose === null ? this.first() : this.chosen(this.choose));
  }

  /**
   * The next item that may run while the CPU `waiting` is busy: a device event, an item of that CPU up to class
   * `lastRank`, or, if `others`, an interrupt or softirq of another CPU. Tasks stay where they are.
   */
  takeNested(waiting: VirtualCpu, lastRank: number, others: boolean): WorkItem | null {
    const own = this.firstDevice() ?? waiting.shift(lastRank);
    return taken(own === null && others ? this.firstInterruptOfOthers() : own);
  }

  /** Lets the clock go on and makes ready what falls due. */
  advanceTo(timeNs: number): void {
    if (timeNs > this.timeNs) this.timeNs = timeNs;
    const { timed } = this;
    while (timed.firstTimeNs() <= this.timeNs) {
      const work = timed.shift();
      if (work.rank === CLASS_CPU_FREE) {
        work.state = IDLE;
        this.enterRing(this.cpus[work.cpu] as VirtualCpu);
      } else {
        work.posted = true;
        this.makeReady(work);
      }
    }
  }

  /** A CPU's item is over: it is busy for another `spentNs`. */
  finish(cpu: VirtualCpu, spentNs: number): void {
    cpu.running = false;
    cpu.busyUntilNs = this.timeNs + spentNs;
    if (cpu.size > 0) this.offer(cpu);
  }

  /** A CPU goes off: what waits at it, now or later, waits at CPU `to`. */
  retire(id: number, to: number): void {
    const cpu = this.allCpus[id] as VirtualCpu;
    const target = this.cpus[to] as VirtualCpu;
    if (cpu.inRing) this.ring.leave(cpu);
    if (cpu.free.state !== IDLE) this.unlink(cpu.free);
    for (let n = 0; n < this.cpus.length; n++) if (this.cpus[n] === cpu) this.cpus[n] = target;
    this.moveAll(cpu, target, -1);
  }

  /** A CPU is back: what waits for it elsewhere comes to it. */
  revive(id: number): void {
    const standIn = this.cpus[id] as VirtualCpu;
    const cpu = this.allCpus[id] as VirtualCpu;
    this.cpus[id] = cpu;
    this.moveAll(standIn, cpu, id);
  }

  private moveAll(from: VirtualCpu, to: VirtualCpu, only: number): void {
    from.moveTo(to, only);
    if (to.size > 0 && !to.running && !to.inRing) this.offer(to);
  }

  private offer(cpu: VirtualCpu): void {
    if (cpu.busyUntilNs <= this.timeNs) this.enterRing(cpu);
    else if (cpu.free.state === IDLE) this.makeTimed(cpu.free, cpu.busyUntilNs);
  }

  private enterRing(cpu: VirtualCpu): void {
    if (!cpu.inRing && !cpu.running && cpu.size > 0) this.ring.enter(cpu);
  }

  private firstDevice(): WorkItem | null {
    const device = this.devices.head;
    if (device !== null) this.devices.remove(device);
    return device;
  }

  private first(): WorkItem | null {
    const device = this.firstDevice();
    if (device !== null) return device;
    for (let cpu = this.ring.head; cpu !== null; cpu = this.ring.head) {
      this.ring.leave(cpu);
      const work = cpu.shift(CLASS_TASK);
      if (work !== null) return work;
    }
    return null;
  }

  private firstInterruptOfOthers(): WorkItem | null {
    for (let cpu = this.ring.head; cpu !== null; cpu = cpu.ringNext) {
      const work = cpu.shift(CLASS_SOFTIRQ);
      if (work === null) continue;
      this.ring.leave(cpu);
      return work;
    }
    return null;
  }

  private chosen(choose: (n: number) => number): WorkItem | null {
    let total = this.devices.size;
    for (let cpu = this.ring.head; cpu !== null; cpu = cpu.ringNext) total += cpu.choices;
    if (total === 0) return null;
    let pick = total === 1 ? 0 : choose(total);
    if (pick < this.devices.size) {
      const device = this.devices.at(pick);
      this.devices.remove(device);
      return device;
    }
    pick -= this.devices.size;
    let cpu = this.ring.head as VirtualCpu;
    while (pick >= cpu.choices) {
      pick -= cpu.choices;
      cpu = cpu.ringNext as VirtualCpu;
    }
    this.ring.leave(cpu);
    return cpu.take(pick);
  }
}

function taken(work: WorkItem | null): WorkItem | null {
  if (work === null) return null;
  work.state = IDLE;
  work.posted = false;
  return work;
}
