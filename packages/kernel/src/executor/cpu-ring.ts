/**
 * The virtual CPUs that are free and have something to run, in the order in which they came.
 */
import type { VirtualCpu } from './virtual-cpu.js';

export class CpuRing {
  head: VirtualCpu | null = null;
  private tail: VirtualCpu | null = null;

  enter(cpu: VirtualCpu): void {
    cpu.inRing = true;
    cpu.ringPrevious = this.tail;
    cpu.ringNext = null;
    if (this.tail === null) this.head = cpu;
    else this.tail.ringNext = cpu;
    this.tail = cpu;
  }

  leave(cpu: VirtualCpu): void {
    const { ringPrevious, ringNext } = cpu;
    if (ringPrevious === null) this.head = ringNext;
    else ringPrevious.ringNext = ringNext;
    if (ringNext === null) this.tail = ringPrevious;
    else ringNext.ringPrevious = ringPrevious;
    cpu.ringNext = cpu.ringPrevious = null;
    cpu.inRing = false;
  }
}
