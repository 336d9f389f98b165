/** Counts each device's streaming mappings without a look-up by name: by requester id, in two small arrays. */
import { type LiveCounter, liveCounter } from '../live-objects.js';
import type { DmaDevice, LiveObjects } from '../ports.js';

const SLOTS = 256;

class Slot {
  readonly dev: DmaDevice;
  readonly counter: LiveCounter;

  constructor(dev: DmaDevice, counter: LiveCounter) {
    this.dev = dev;
    this.counter = counter;
  }
}

export class MappingCounters {
  private readonly live: LiveObjects;
  /** The device asked for last: most are asked for again. */
  private lastDev: DmaDevice | null = null;
  private lastCounter: LiveCounter | null = null;
  private readonly buses: ((Slot | null)[] | null)[] = new Array(SLOTS).fill(null);

  constructor(live: LiveObjects) {
    this.live = live;
  }

  /** The device's counter. Any context; allocates only for a device not met before. */
  of(dev: DmaDevice): LiveCounter {
    return dev === this.lastDev ? (this.lastCounter as LiveCounter) : this.find(dev);
  }

  private find(dev: DmaDevice): LiveCounter {
    this.lastDev = dev;
    this.lastCounter = this.lookUp(dev);
    return this.lastCounter;
  }

  private lookUp(dev: DmaDevice): LiveCounter {
    const bus = this.buses[dev.requesterId >>> 8];
    if (bus !== null && bus !== undefined) {
      const slot = bus[dev.requesterId & 0xff];
      if (slot !== null && slot !== undefined && slot.dev === dev) return slot.counter;
    }
    return this.meet(dev);
  }

  private meet(dev: DmaDevice): LiveCounter {
    const number = dev.requesterId >>> 8;
    const bus = this.buses[number] ?? new Array<Slot | null>(SLOTS).fill(null);
    this.buses[number] = bus;
    const slot = new Slot(dev, liveCounter(this.live, 'mappings', dev.name));
    bus[dev.requesterId & 0xff] = slot;
    return slot.counter;
  }
}
