/**
 * What the plain executor is to run: one list, in the order in which things were asked for, looked through from the start.
 * No heap, no ring, no queue of a CPU's own.
 *
 * Its one rule: an item may start when it is due and its CPU is free. Of those that may start earliest, device events come
 * first, then hardirqs, softirqs and tasks, and in each class the one that was due first.
 */
import type { Context } from '../ports.js';
import { NO_CPU } from '../ports.js';
import type { PlainItem } from './plain-task.js';

const CLASSES: readonly Context[] = ['device', 'hardirq', 'softirq', 'task'];

export class PlainPlan {
  timeNs = 0;
  /** By CPU: until when it does what it was charged for. */
  readonly busyUntilNs: number[];
  private list: PlainItem[] = [];
  /** By CPU: which one does its work; itself unless it is off. */
  private readonly servedBy: number[];
  private readonly choose: ((n: number) => number) | null;

  constructor(nrCpus: number, choose: ((n: number) => number) | null) {
    this.busyUntilNs = new Array<number>(nrCpus).fill(0);
    this.servedBy = this.busyUntilNs.map((_, cpu) => cpu);
    this.choose = choose;
  }

  /** From a CPU that is `aheadNs` ahead of the clock. */
  post(work: PlainItem, aheadNs: number): boolean {
    const dueNs = this.timeNs + aheadNs;
    const wasReady = work.pending && (work.posted || work.dueNs <= this.timeNs);
    if (!wasReady || work.dueNs > dueNs) this.enlist(work, dueNs);
    work.posted = true;
    return !wasReady;
  }

  arm(work: PlainItem, timeNs: number, aheadNs: number): void {
    this.enlist(work, Math.max(timeNs, this.timeNs + aheadNs));
  }

  private enlist(work: PlainItem, dueNs: number): void {
    this.strike(work);
    work.pending = true;
    work.dueNs = dueNs;
    this.list.push(work);
  }

  /** Takes an item off the list; false when it was not on it. */
  strike(work: PlainItem): boolean {
    const { pending } = work;
    if (pending) this.list = this.list.filter((other) => other !== work);
    work.pending = work.posted = false;
    return pending;
  }

  /** The CPU an item would run on now. */
  cpuOf(work: PlainItem): number {
    if (work.task !== null) return work.task.cpu;
    return work.cpu === NO_CPU ? NO_CPU : (this.servedBy[work.cpu] as number);
  }

  /** When an item may start, at the earliest. */
  startOf(work: PlainItem): number {
    const cpu = this.cpuOf(work);
    return Math.max(work.dueNs, this.timeNs, cpu === NO_CPU ? 0 : (this.busyUntilNs[cpu] as number));
  }

  /** What is next of all that `may` run; it stays on the list. */
  next(may: (work: PlainItem) => boolean = () => true): PlainItem | null {
    let best: PlainItem | null = null;
    for (const work of this.list) if (may(work) && (best === null || this.isBefore(work, best))) best = work;
    return best;
  }

  nextStartNs(): number {
    const next = this.next();
    return next === null ? Number.POSITIVE_INFINITY : this.startOf(next);
  }

  /** Takes what may start now. A seed chooses among all that nothing of an earlier class on their CPU is before. */
  takeReady(): PlainItem | null {
    const work = this.choose === null ? this.next() : this.chosen(this.choose);
    if (work === null || this.startOf(work) > this.timeNs) return null;
    this.strike(work);
    return work;
  }

  private chosen(choose: (n: number) => number): PlainItem | null {
    const ready = this.list.filter((work) => this.startOf(work) <= this.timeNs);
    const free = ready.filter((work) => !ready.some((other) => this.mustPrecede(other, work)));
    return free.length < 2 ? (free[0] ?? null) : (free[choose(free.length)] as PlainItem);
  }

  private mustPrecede(a: PlainItem, b: PlainItem): boolean {
    return this.cpuOf(a) === this.cpuOf(b) && rank(a) < rank(b);
  }

  private isBefore(a: PlainItem, b: PlainItem): boolean {
    const later = this.startOf(a) - this.startOf(b);
    if (later !== 0) return later < 0;
    return rank(a) === rank(b) ? a.dueNs < b.dueNs : rank(a) < rank(b);
  }

  /** There is no such CPU, or another one does its work. */
  isOff(cpu: number): boolean {
    return cpu !== NO_CPU && this.servedBy[cpu] !== cpu;
  }

  retire(cpu: number, to: number): void {
    for (let n = 0; n < this.servedBy.length; n++) if (this.servedBy[n] === cpu) this.servedBy[n] = to;
  }

  revive(cpu: number): void {
    this.servedBy[cpu] = cpu;
  }
}

function rank(work: PlainItem): number {
  return CLASSES.indexOf(work.context);
}
