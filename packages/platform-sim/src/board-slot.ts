/**
 * A function in its place: the host it is given, with memory, interrupts, time and randomness.
 * Kernel counterpart: none; the root complex as one function sees it.
 */
import { type Item, type Kernel, NO_CPU, type TraceEventType } from '@nvme-stack/kernel';
import {
  type DeviceTraceEvent,
  DMA_FAULT,
  DMA_MASTER_ABORT,
  DMA_OK,
  PCI_HEADER_TYPE,
  PCI_HEADER_TYPE_BRIDGE,
  PCI_HEADER_TYPE_MASK,
  type PciFunction,
  type PciHost,
} from '@nvme-stack/pci-function';
import type { Board } from './board.js';
import type { BoardBus } from './board-bus.js';
import { type DeviceMemory, MemoryPort } from './device-memory.js';
import { type DecodedBar, probeBars, probeSriov, type SriovProbe } from './function-probe.js';
import type { Iommu, IommuDomain } from './iommu.js';
import { DMA_READ, DMA_WRITE, INTX_LEVEL } from './trace-events.js';
import { MSI_BASE, MSI_END } from './vector-domain.js';

const ENDPOINT_BARS = 6;
const BRIDGE_BARS = 2;
const FIRST_BAR = 0x10;

export class BoardSlot implements PciHost {
  readonly board: Board;
  readonly kernel: Kernel;
  readonly bus: BoardBus;
  readonly devfn: number;
  readonly function: PciFunction;
  readonly bars: readonly DecodedBar[];
  readonly sriov: SriovProbe | null;
  /** False once it was taken out: nothing it does reaches the board any more. */
  present = true;
  private readonly memory: DeviceMemory;
  private readonly port: MemoryPort;
  private readonly iommu: Iommu | null;
  /** What is mapped for its requester id; null: nothing is checked. */
  private domain: IommuDomain | null;
  private readonly alarmItem: Item;
  private readonly deferItem: Item;
  private intxLevel = false;
  /** Requester id at present; the bus number may change. */
  private requester: number;
  private lastStream = '';
  private lastStreamName = '';

  constructor(bus: BoardBus, devfn: number, fn: PciFunction) {
    const { board } = bus;
    this.board = board;
    this.kernel = board.kernel;
    this.bus = bus;
    this.devfn = devfn;
    this.function = fn;
    this.memory = board.memory;
    this.port = new MemoryPort(board.memory);
    this.iommu = board.iommu;
    this.requester = bus.number * 256 + devfn;
    this.domain = this.iommu === null ? null : this.iommu.domainFor(this.requester);
    const { ex } = board.kernel;
    this.alarmItem = ex.item('device', NO_CPU, (self: BoardSlot) => self.runAlarm(), this);
    this.deferItem = ex.item('device', NO_CPU, (self: BoardSlot) => self.runDeferred(), this);
    fn.attach(this);
    this.bars = probeBars(fn, FIRST_BAR, isBridge(fn) ? BRIDGE_BARS : ENDPOINT_BARS);
    this.sriov = probeSriov(fn);
  }

  get requesterId(): number {
    return this.requester;
  }

  /** The bus has another number now. */
  renumber(): void {
    this.requester = this.bus.number * 256 + this.devfn;
    if (this.iommu !== null) this.domain = this.iommu.domainFor(this.requester);
  }

  dmaRead(busAddr: number, bytes: Uint8Array, offset: number, length: number): number {
    const status = this.check(busAddr, length, false);
    const { trace } = this.kernel;
    if (trace.events) trace.event(DMA_READ, this.requester, busAddr, length, status);
    if (status === DMA_OK) this.port.read(busAddr, bytes, offset, length);
    return status;
  }

  dmaWrite(busAddr: number, bytes: Uint8Array, offset: number, length: number): number {
    const status = this.check(busAddr, length, true);
    const { trace } = this.kernel;
    if (trace.events) trace.event(DMA_WRITE, this.requester, busAddr, length, status);
    if (status === DMA_OK) this.port.write(busAddr, bytes, offset, length);
    return status;
  }

  private check(busAddr: number, length: number, isWrite: boolean): number {
    if (!this.present) return DMA_MASTER_ABORT;
    if (!this.memory.contains(busAddr, length)) {
      this.board.dmaAborts++;
      return DMA_MASTER_ABORT;
    }
    const { domain } = this;
    if (domain === null || length === 0 || domain.allows(busAddr, length, isWrite)) return DMA_OK;
    this.iommu?.fault(this.requester, busAddr, length, isWrite);
    return DMA_FAULT;
  }

  msi(address: number, data: number): void {
    if (!this.present) return;
    if (address >= MSI_BASE && address < MSI_END) {
      this.board.vectors.deliver(address, data);
      return;
    }
    // A message is a memory write like any other: elsewhere it stores a dword.
    if (this.check(address, 4, true) === DMA_OK) this.memory.storeDword(address, data);
  }

  intx(level: boolean): void {
    if (level === this.intxLevel || (level && !this.present)) return;
    this.intxLevel = level;
    const line = this.bus.intxLine(this.devfn, this.function);
    const { trace } = this.kernel;
    if (trace.events) trace.event(INTX_LEVEL, this.requester, line, level ? 1 : 0, 0);
    if (line >= 0) this.board.ioApic.drive(line, level);
  }

  nowNs(): number {
    return this.kernel.ex.now();
  }

  alarmAt(timeNs: number): void {
    const { ex } = this.kernel;
    if (timeNs === Number.POSITIVE_INFINITY || !this.present) ex.disarm(this.alarmItem);
    else ex.arm(this.alarmItem, timeNs);
  }

  defer(): void {
    if (this.present) this.kernel.ex.post(this.deferItem);
  }

  random(stream: string): number {
    if (stream !== this.lastStream) {
      this.lastStream = stream;
      this.lastStreamName = `${this.board.slotName(this)}/${stream}`;
    }
    return this.kernel.random.next(this.lastStreamName);
  }

  get tracing(): boolean {
    return this.kernel.trace.events;
  }

  trace(event: DeviceTraceEvent, a: number, b: number, c: number, d: number): void {
    const type: TraceEventType = event;
    this.kernel.trace.event(type, a, b, c, d);
  }

  /** Resets the function from outside; what it had asked for is void. */
  reset(): void {
    const { ex } = this.kernel;
    this.function.reset('conventional');
    ex.disarm(this.alarmItem);
    ex.disarm(this.deferItem);
  }

  /** Its slot's power comes, and it starts anew, or goes, and nothing it does reaches the board. */
  setPower(on: boolean): void {
    if (on === this.present) return;
    if (on) {
      this.present = true;
      this.reset();
    } else this.detach();
  }

  /** It is taken out. */
  detach(): void {
    const { ex } = this.kernel;
    this.intx(false);
    this.present = false;
    ex.disarm(this.alarmItem);
    ex.disarm(this.deferItem);
  }

  private runAlarm(): void {
    if (this.present) this.function.alarm();
  }

  private runDeferred(): void {
    if (this.present) this.function.deferred();
  }
}

function isBridge(fn: PciFunction): boolean {
  return (fn.configRead(PCI_HEADER_TYPE, 1) & PCI_HEADER_TYPE_MASK) === PCI_HEADER_TYPE_BRIDGE;
}
