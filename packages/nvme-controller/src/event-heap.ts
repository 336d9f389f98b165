// Timed events as plain data in a stable binary heap on typed arrays.
// Kernel counterpart: none. An event is (time, kind, argument); equal times keep the order of arming.

/** A heap of timed events; no closures, so that its arrays are its whole state. */
export class EventHeap {
  times: Float64Array;
  sequences: Float64Array;
  kinds: Uint8Array;
  args: Int32Array;
  count: number;
  nextSequence: number;

  constructor() {
    this.times = new Float64Array(64);
    this.sequences = new Float64Array(64);
    this.kinds = new Uint8Array(64);
    this.args = new Int32Array(64);
    this.count = 0;
    this.nextSequence = 1;
  }

  /** Time of the earliest event, or Infinity. */
  get nextTimeNs(): number {
    return this.count === 0 ? Infinity : (this.times[0] as number);
  }

  /** Adds an event and returns its sequence number, which identifies it. */
  push(timeNs: number, kind: number, arg: number): number {
    if (this.count === this.times.length) this.#grow();
    const sequence = this.nextSequence++;
    let at = this.count++;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if ((this.times[parent] as number) <= timeNs) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(at, timeNs, sequence, kind, arg);
    return sequence;
  }

  /** Removes the earliest event; read index 0 first. */
  pop(): void {
    const last = --this.count;
    const time = this.times[last] as number;
    const sequence = this.sequences[last] as number;
    let at = 0;
    for (let child = 1; child < last; child = at * 2 + 1) {
      if (child + 1 < last && this.#before(child + 1, child)) child++;
      const childTime = this.times[child] as number;
      if (time < childTime || (time === childTime && sequence < (this.sequences[child] as number))) break;
      this.#move(child, at);
      at = child;
    }
    this.#put(at, time, sequence, this.kinds[last] as number, this.args[last] as number);
  }

  /** Takes the events of another heap, in its own order. */
  load(
    events: readonly (readonly [timeNs: number, sequence: number, kind: number, arg: number])[],
    nextSequence: number,
  ): void {
    while (this.times.length < events.length) this.#grow();
    this.count = events.length;
    this.nextSequence = nextSequence;
    events.forEach(([timeNs, sequence, kind, arg], at) => {
      this.#put(at, timeNs, sequence, kind, arg);
    });
  }

  /** Forgets all events. */
  clear(): void {
    this.count = 0;
  }

  #before(a: number, b: number): boolean {
    const difference = (this.times[a] as number) - (this.times[b] as number);
    return difference < 0 || (difference === 0 && (this.sequences[a] as number) < (this.sequences[b] as number));
  }

  #move(from: number, to: number): void {
    this.#put(
      to,
      this.times[from] as number,
      this.sequences[from] as number,
      this.kinds[from] as number,
      this.args[from] as number,
    );
  }

  #put(at: number, time: number, sequence: number, kind: number, arg: number): void {
    this.times[at] = time;
    this.sequences[at] = sequence;
    this.kinds[at] = kind;
    this.args[at] = arg;
  }

  #grow(): void {
    const { times, sequences, kinds, args } = this;
    this.times = new Float64Array(times.length * 2);
    this.times.set(times);
    this.sequences = new Float64Array(times.length * 2);
    this.sequences.set(sequences);
    this.kinds = new Uint8Array(times.length * 2);
    this.kinds.set(kinds);
    this.args = new Int32Array(times.length * 2);
    this.args.set(args);
  }
}
