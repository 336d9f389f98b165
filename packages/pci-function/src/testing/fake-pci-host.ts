// A board with one slot: RAM from bus address 0, a manual clock, logged interrupts, a pump for defer and alarm.
// Kernel counterpart: none.
import {
  type DeviceTraceEvent,
  DMA_FAULT,
  DMA_MASTER_ABORT,
  DMA_OK,
  type PciFunction,
  type PciHost,
} from '../ports.js';

/** One message the function posted. */
export interface FakeMessage {
  readonly address: number;
  readonly data: number;
}

/** One emitted trace event. */
export interface FakeTraceEntry {
  readonly event: DeviceTraceEvent;
  readonly values: readonly [number, number, number, number];
}

/** Options of a fake board. */
export interface FakePciHostOptions {
  /** RAM in bytes; 1 MiB unless told. */
  readonly ramBytes?: number;
  /** RAM to use instead of a fresh array; with the store in the same buffer, copies need no view. */
  readonly ram?: Uint8Array;
  /** Seed of random(). */
  readonly seed?: number;
}

/** A PciHost to test against: nothing runs by itself, pump() delivers what is due. */
export class FakePciHost implements PciHost {
  readonly ram: Uint8Array;
  /** Messages in order. */
  readonly messages: FakeMessage[] = [];
  /** Every change of the INTx pin. */
  readonly intxChanges: boolean[] = [];
  /** Trace events in order; filled while tracing is true. */
  readonly traced: FakeTraceEntry[] = [];
  /** Set to see trace events. */
  tracing = false;
  /** Count only: set true to keep messages out of the log in long runs. */
  countMessagesOnly = false;
  messageCount = 0;
  intxLevel = false;
  dmaReads = 0;
  dmaWrites = 0;
  /** Bus address ranges that answer with DMA_FAULT. */
  readonly faultRanges: { readonly start: number; readonly length: number }[] = [];
  /** Called at every message, inside the access that caused it. */
  onMessage: ((address: number, data: number) => void) | null = null;

  readonly #dwords: Uint32Array;
  #function: PciFunction | null = null;
  #now = 0;
  #alarm = Infinity;
  #deferred = false;
  #random: number;

  constructor(options: FakePciHostOptions = {}) {
    this.ram = options.ram ?? new Uint8Array(options.ramBytes ?? 1 << 20);
    this.#dwords = new Uint32Array(this.ram.buffer, this.ram.byteOffset, this.ram.length >>> 2);
    this.#random = (options.seed ?? 1) | 0;
  }

  /** Plugs a function in and attaches it. */
  plug(fn: PciFunction): void {
    this.#function = fn;
    fn.attach(this);
  }

  /** True while a deferred() call is due. */
  get deferPending(): boolean {
    return this.#deferred;
  }

  /** Absolute time of the alarm, Infinity if none. */
  get alarmTimeNs(): number {
    return this.#alarm;
  }

  /** Delivers deferred calls until none is due, without letting time pass; returns how many. */
  pump(limit = 10000): number {
    let calls = 0;
    while (this.#deferred && calls < limit) {
      this.#deferred = false;
      this.#function?.deferred();
      calls++;
    }
    return calls;
  }

  /** Lets ns pass: alarms and deferred calls come when they are due. */
  advance(ns: number): void {
    const end = this.#now + ns;
    this.pump();
    while (this.#alarm <= end) {
      if (this.#alarm > this.#now) this.#now = this.#alarm;
      this.#alarm = Infinity;
      this.#function?.alarm();
      this.pump();
    }
    this.#now = end;
  }

  dmaRead(busAddr: number, bytes: Uint8Array, offset: number, length: number): number {
    this.dmaReads++;
    const status = this.#check(busAddr, length);
    if (status === DMA_OK) this.#copy(this.ram, busAddr, bytes, offset, length);
    return status;
  }

  dmaWrite(busAddr: number, bytes: Uint8Array, offset: number, length: number): number {
    this.dmaWrites++;
    const status = this.#check(busAddr, length);
    if (status === DMA_OK) this.#copy(bytes, offset, this.ram, busAddr, length);
    return status;
  }

  msi(address: number, data: number): void {
    this.messageCount++;
    if (!this.countMessagesOnly) this.messages.push({ address, data });
    if (this.onMessage !== null) this.onMessage(address, data);
  }

  intx(level: boolean): void {
    this.intxLevel = level;
    this.intxChanges.push(level);
  }

  nowNs(): number {
    return this.#now;
  }

  alarmAt(timeNs: number): void {
    this.#alarm = timeNs;
  }

  defer(): void {
    this.#deferred = true;
  }

  random(stream: string): number {
    let state = this.#random;
    for (let i = 0; i < stream.length; i++) state = Math.imul(state ^ stream.charCodeAt(i), 0x01000193);
    this.#random = Math.imul(this.#random ^ (this.#random >>> 15), 0x2c1b3c6d) + 1;
    return (state ^ this.#random) >>> 0;
  }

  trace(event: DeviceTraceEvent, a: number, b: number, c: number, d: number): void {
    this.traced.push({ event, values: [a, b, c, d] });
  }

  #check(busAddr: number, length: number): number {
    if (!(busAddr >= 0 && busAddr + length <= this.ram.length)) return DMA_MASTER_ABORT;
    for (const range of this.faultRanges) {
      if (busAddr < range.start + range.length && busAddr + length > range.start) return DMA_FAULT;
    }
    return DMA_OK;
  }

  /** Entries are short and aligned, and within one arena dwords beat a call of copyWithin. */
  #copy(from: Uint8Array, fromOffset: number, to: Uint8Array, toOffset: number, length: number): void {
    if (from !== to) {
      copyBetween(from, fromOffset, to, toOffset, length);
    } else if (length <= 64 && ((fromOffset | toOffset | length) & 3) === 0) {
      const dwords = this.#dwords;
      const start = fromOffset / 4;
      const target = toOffset / 4;
      for (let i = 0; i < length >>> 2; i++) dwords[target + i] = dwords[start + i] as number;
    } else {
      to.copyWithin(toOffset, fromOffset, fromOffset + length);
    }
  }
}

function copyBetween(from: Uint8Array, fromOffset: number, to: Uint8Array, toOffset: number, length: number): void {
  if (length <= 64) for (let i = 0; i < length; i++) to[toOffset + i] = from[fromOffset + i] as number;
  else to.set(from.subarray(fromOffset, fromOffset + length), toOffset);
}
