// One PCI function in a slot of v86's bus 0: its window, its memory accesses, its interrupts and its timed calls.
// Kernel counterpart: none (the board). Spec: [PCI] 3.0 §6.2.2, §6.8; NVMe over PCIe 1.0 §3.5.
import {
  type AccessSize,
  allOnes,
  type DeviceTraceEvent,
  DMA_MASTER_ABORT,
  DMA_OK,
  type PciFunction,
  type PciHost,
} from '@nvme-stack/pci-function';
import type { Board } from './board.js';
import { HiddenMsix } from './hidden-msix.js';
import type { AttachNvmeOptions } from './ports.js';
import { randomStreams } from './random.js';
import { findPowerManagement, findWindows, followBar, type Window } from './windows.js';

/** The video memory and legacy hole, which no RAM answers. */
const HOLE_START = 0xa0000;
const HOLE_END = 0xc0000;
/** Turns of deferred() in one safe point; more work waits for the next. */
const TURNS_PER_POINT = 64;

/** A function on the board. Invariant: what it asks for inside an access happens at the board's next safe point. */
export class Slot implements PciHost {
  readonly number: number;
  readonly fn: PciFunction;
  /** In the order of the BARs; the first is BAR0's. */
  readonly windows: readonly Window[];
  /** The pin's level as the device wants it. */
  pin = false;
  readonly random: (stream: string) => number;
  readonly #board: Board;
  readonly #trace: AttachNvmeOptions['trace'];
  readonly #hidden: HiddenMsix | null;
  readonly #powerOffset: number;
  #isPresent = true;
  #wantsTurn = false;
  #alarmNs = Infinity;
  /** Address and data of messages to deliver. */
  readonly #messages: number[] = [];

  constructor(board: Board, number: number, fn: PciFunction, options: AttachNvmeOptions) {
    this.#board = board;
    this.number = number;
    this.fn = fn;
    this.windows = findWindows(fn);
    this.#powerOffset = findPowerManagement(fn);
    this.#trace = options.trace;
    this.random = randomStreams(options.seed ?? 1);
    this.#hidden = options.msix === false ? new HiddenMsix(fn) : null;
    fn.attach(this);
  }

  /** True while the controller has not been pulled. */
  get isPresent(): boolean {
    return this.#isPresent;
  }

  /** Surprise removal. */
  unplug(): void {
    this.#isPresent = false;
    this.pin = false;
    for (const window of this.windows) {
      window.start = 0;
      window.end = 0;
    }
    this.#forget();
  }

  configRead(offset: number): number {
    if (!this.#isPresent) return allOnes(4);
    return this.#hidden === null ? this.fn.configRead(offset, 4) : this.#hidden.read(offset);
  }

  configWrite(offset: number, value: number, size: AccessSize): void {
    if (!this.#isPresent || this.#hidden?.covers(offset)) return;
    this.fn.configWrite(offset, value, size);
    this.decode();
  }

  /** Has the windows follow command register, BARs and power state. */
  decode(): void {
    for (const window of this.windows) {
      if (followBar(this.fn, window, this.#powerOffset, this.#board.ramBytes)) {
        this.#board.openWindow(window.start, window.sizeBytes);
      }
    }
  }

  /** A conventional reset of the slot. */
  reset(): void {
    if (!this.#isPresent) return;
    this.fn.reset('conventional');
    this.#forget();
    this.decode();
  }

  /** What the device asked for and what is due; called between compiled blocks. */
  service(nowNs: number): void {
    if (nowNs >= this.#alarmNs) {
      this.#alarmNs = Infinity;
      this.fn.alarm();
    }
    for (let turns = TURNS_PER_POINT; this.#wantsTurn && turns > 0; turns--) {
      this.#wantsTurn = false;
      this.fn.deferred();
    }
    const messages = this.#messages;
    for (let i = 0; i < messages.length; i += 2) {
      this.#board.deliverMessage(messages[i] as number, messages[i + 1] as number);
    }
    messages.length = 0;
  }

  /** Nanoseconds until service() has something to do; Infinity for nothing. */
  idleNs(nowNs: number): number {
    if (this.#wantsTurn || this.#messages.length > 0) return 0;
    return Math.max(0, this.#alarmNs - nowNs);
  }

  dmaRead(busAddr: number, bytes: Uint8Array, offset: number, length: number): number {
    if (!this.#isRam(busAddr, length)) return DMA_MASTER_ABORT;
    bytes.set(this.#board.cpu.mem8.subarray(busAddr, busAddr + length), offset);
    return DMA_OK;
  }

  dmaWrite(busAddr: number, bytes: Uint8Array, offset: number, length: number): number {
    if (!this.#isRam(busAddr, length)) return DMA_MASTER_ABORT;
    this.#board.cpu.write_blob(bytes.subarray(offset, offset + length), busAddr);
    return DMA_OK;
  }

  msi(address: number, data: number): void {
    if (!this.#isPresent) return;
    this.#messages.push(address, data);
    this.#board.wake();
  }

  intx(level: boolean): void {
    if (!this.#isPresent) return;
    this.pin = level;
    this.#board.pinChanged(this);
  }

  nowNs(): number {
    return this.#board.nowNs;
  }

  alarmAt(timeNs: number): void {
    this.#alarmNs = timeNs;
    if (timeNs !== Infinity) this.#board.wake();
  }

  defer(): void {
    if (!this.#isPresent) return;
    this.#wantsTurn = true;
    this.#board.wake();
  }

  get tracing(): boolean {
    return this.#trace !== undefined;
  }

  trace(event: DeviceTraceEvent, a: number, b: number, c: number, d: number): void {
    this.#trace?.(event, a, b, c, d);
  }

  #isRam(address: number, length: number): boolean {
    const end = address + length;
    return this.#isPresent && end <= this.#board.ramBytes && (end <= HOLE_START || address >= HOLE_END);
  }

  #forget(): void {
    this.#wantsTurn = false;
    this.#alarmNs = Infinity;
    this.#messages.length = 0;
    this.pin = false;
    this.#board.pinChanged(this);
  }
}
