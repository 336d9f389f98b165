// The ports of pci-function: what a PCI function offers to a board and what a board offers to a function.
// Kernel counterpart: none (the device's side of drivers/pci). Spec: PCI Local Bus 3.0 §6, PCI Express Base §7.

/** Width of one configuration or memory access, in bytes. */
export type AccessSize = 1 | 2 | 4;

/** How deep a reset goes: power applied, conventional (bus or slot) reset, or function level reset. */
export type PciResetKind = 'power-on' | 'conventional' | 'flr';

/** The port between board and device: what a PCI function offers. */
export interface PciFunction {
  /** Places the function on a board; called once, before anything else. */
  attach(host: PciHost): void;
  /** Reads configuration space; offset in bytes, aligned to size. Calling context: any. */
  configRead(offset: number, size: AccessSize): number;
  /** Writes configuration space; read-only bits of value are ignored. */
  configWrite(offset: number, value: number, size: AccessSize): void;
  /** Reads bar 0..5 (a 64-bit BAR has its lower index) at an offset in bytes; the board decodes addresses. */
  barRead(bar: number, offset: number, size: AccessSize): number;
  /** Writes bar 0..5 at an offset in bytes; the board decodes addresses. */
  barWrite(bar: number, offset: number, value: number, size: AccessSize): void;
  /** Called by the host in device context some time after defer(); never from inside an access. */
  deferred(): void;
  /** Called by the host in device context when the alarm's time has come. */
  alarm(): void;
  /** Resets the function; the host's alarm and a pending defer() are void afterwards. */
  reset(kind: PciResetKind): void;
  /** Virtual functions this function owns at present (SR-IOV); absent: none. */
  virtualFunctions?(): readonly PciFunction[];
}

/** A trace event a device can emit; names and fields as QEMU's or Linux's where they have one. */
export interface DeviceTraceEvent {
  readonly name: string;
  readonly kind: 'config' | 'mmio' | 'dma' | 'sqe' | 'cqe' | 'msi' | 'nvme';
  readonly fields: readonly string[];
}

/** What the board offers to one function; every call returns at once and none throws. */
export interface PciHost {
  /** Moves memory at busAddr to (bytes, offset); 0 = ok, else a PCI error (DMA_FAULT, DMA_MASTER_ABORT). */
  dmaRead(busAddr: number, bytes: Uint8Array, offset: number, length: number): number;
  /** Moves (bytes, offset) to memory at busAddr; 0 = ok, else a PCI error. */
  dmaWrite(busAddr: number, bytes: Uint8Array, offset: number, length: number): number;
  /** Posts a message signalled interrupt: a dword write of data to address. */
  msi(address: number, data: number): void;
  /** Sets the level of the function's INTx pin. */
  intx(level: boolean): void;
  /** Virtual time in nanoseconds since power-on. */
  nowNs(): number;
  /** Sets the function's one alarm to an absolute virtual time; Infinity disarms. */
  alarmAt(timeNs: number): void;
  /** Asks for one deferred() call; asking again before it came does nothing. */
  defer(): void;
  /** The next uint32 of a named seeded stream. */
  random(stream: string): number;
  /** True while somebody listens; guard trace() with it. */
  readonly tracing: boolean;
  /** Emits one trace event with up to four numeric fields. */
  trace(event: DeviceTraceEvent, a: number, b: number, c: number, d: number): void;
}

/** dmaRead/dmaWrite result: done. */
export const DMA_OK = 0;
/** dmaRead/dmaWrite result: a translation fault, the address is not mapped for this function. */
export const DMA_FAULT = 1;
/** dmaRead/dmaWrite result: no target answered the address, or bus mastering is off. */
export const DMA_MASTER_ABORT = 2;
