/**
 * The agenda: what is ready to run, on which CPU, and what becomes ready later. It keeps the machine's clock.
 *
 * Device events have no CPU and come first. Every other item waits at its CPU, hardirq before softirq before tasks; a
 * CPU that is free and has something to run stands in a ring and is served in turn. A busy CPU enters the ring when
 * the time it was charged for has passed.
 */
import { NO_CPU } from '../ports.js';
import { CLASS_DEVICE, CLASS_SOFTIRQ, IDLE, ItemList, READY, TIMED, WorkItem } from './item.js';
import { TaskImpl } from './task.js';
import { TimedQueue } from './timed-queue.js';
import { VirtualCpu } from './virtual-cpu.js';

export class Agenda {
  /** Virtual nanoseconds since power-on, at which the running item started. */
  timeNs = 0;
  readonly cpus: VirtualCpu[] = [];
  private readonly devices = new ItemList();
  private readonly timed = new TimedQueue();
  private readonly ring: Int32Array;
  private ringHead = 0;
  private ringSize = 0;
  /** Chooses one of n ready items; null: first in, first out. */
  private readonly choose: ((n: number) => number) | null;

  constructor(nrCpus: number, choose: ((n: number) => number) | null) {
    this.choose = choose;
    this.ring = new Int32Array(nrCpus);
    for (let id = 0; id < nrCpus; id++) {
      const cpu = new VirtualCpu(id, new TaskImpl(0, '<idle>', id));
      cpu.free = new WorkItem(CLASS_DEVICE, NO_CPU, () => {}, cpu, null);
      this.cpus.push(cpu);
    }
  }

  /** Time of the earliest timed item; Infinity when there is none. */
  nextTimeNs(): number {
    return this.timed.firstTimeNs();
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
    if (!cpu.running) this.offer(cpu);
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
    const work = this.choose === null ? this.first() : this.chosen(this.choose);
    if (work === null) return null;
    work.state = IDLE;
    work.posted = false;
    return work;
  }

  /** The next interrupt, softirq or device event, for a CPU that is busy-waiting; tasks stay where they are. */
  takeNested(waiting: VirtualCpu): WorkItem | null {
    const work = this.firstDevice() ?? waiting.shift(CLASS_SOFTIRQ) ?? this.firstInterruptOfOthers();
    if (work === null) return null;
    work.state = IDLE;
    work.posted = false;
    return work;
  }

  /** Lets the clock go on and makes ready what falls due. */
  advanceTo(timeNs: number): void {
    if (timeNs > this.timeNs) this.timeNs = timeNs;
    while (this.timed.firstTimeNs() <= this.timeNs) {
      const work = this.timed.shift();
      work.state = IDLE;
      if (work.arg instanceof VirtualCpu) {
        this.enterRing(work.arg);
        continue;
      }
      work.posted = true;
      this.makeReady(work);
    }
  }

  /** A CPU's item is over: it is busy for another `spentNs`. */
  finish(cpu: VirtualCpu, spentNs: number): void {
    cpu.running = false;
    cpu.busyUntilNs = this.timeNs + spentNs;
    if (cpu.size > 0) this.offer(cpu);
  }

  private offer(cpu: VirtualCpu): void {
    if (cpu.inRing) return;
    const free = cpu.free as WorkItem;
    if (cpu.busyUntilNs <= this.timeNs) this.enterRing(cpu);
    else if (free.state === IDLE) this.makeTimed(free, cpu.busyUntilNs);
  }

  private enterRing(cpu: VirtualCpu): void {
    if (cpu.inRing || cpu.running || cpu.size === 0) return;
    cpu.inRing = true;
    let slot = this.ringHead + this.ringSize;
    if (slot >= this.ring.length) slot -= this.ring.length;
    this.ring[slot] = cpu.id;
    this.ringSize++;
  }

  private leaveRing(position: number): VirtualCpu {
    const at = (n: number): number => (this.ringHead + n) % this.ring.length;
    const cpu = this.ringCpu(position);
    for (let n = position; n > 0; n--) this.ring[at(n)] = this.ring[at(n - 1)] as number;
    this.ringHead = at(1);
    this.ringSize--;
    cpu.inRing = false;
    return cpu;
  }

  private ringCpu(position: number): VirtualCpu {
    return this.cpus[this.ring[(this.ringHead + position) % this.ring.length] as number] as VirtualCpu;
  }

  private firstDevice(): WorkItem | null {
    const device = this.devices.head;
    if (device !== null) this.devices.remove(device);
    return device;
  }

  private first(): WorkItem | null {
    const device = this.firstDevice();
    if (device !== null) return device;
    while (this.ringSize > 0) {
      const work = this.leaveRing(0).shift();
      if (work !== null) return work;
    }
    return null;
  }

  private firstInterruptOfOthers(): WorkItem | null {
    for (let position = 0; position < this.ringSize; position++) {
      const work = this.ringCpu(position).shift(CLASS_SOFTIRQ);
      if (work === null) continue;
      this.leaveRing(position);
      return work;
    }
    return null;
  }

  private chosen(choose: (n: number) => number): WorkItem | null {
    let total = this.devices.size;
    for (let position = 0; position < this.ringSize; position++) total += this.ringCpu(position).size;
    if (total === 0) {
      while (this.ringSize > 0) this.leaveRing(0);
      return null;
    }
    let pick = total === 1 ? 0 : choose(total);
    if (pick < this.devices.size) {
      const device = this.devices.at(pick);
      this.devices.remove(device);
      return device;
    }
    pick -= this.devices.size;
    let position = 0;
    while (pick >= this.ringCpu(position).size) pick -= this.ringCpu(position++).size;
    return this.leaveRing(position).take(pick);
  }
}
