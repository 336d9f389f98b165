// An NVMe controller as a PCI function: identity, BAR0, and the way into the device's parts.
// Kernel counterpart: none (the hardware drivers/nvme/host/pci.c drives). Spec: [NVMe] 2.0; NVMe over PCIe 1.0 §3.8.
import { NVME_REG_DBS } from '@nvme-stack/nvme-protocol';
import { type AccessSize, allOnes, PciEndpoint, type PciHost, type PciResetKind } from '@nvme-stack/pci-function';
import { serveEvents, takeTurn } from './arbitration.js';
import { checkTemperature, namespaceChanged, setCriticalWarning } from './async-events.js';
import { ControllerState } from './controller-state.js';
import { type NvmeControllerDescription, type ResolvedController, resolveDescription } from './description.js';
import { writeDoorbell } from './doorbells.js';
import { CMB_BAR, describeEndpoint, layoutBar } from './endpoint-layout.js';
import { countOutstanding } from './fast-rw.js';
import { FaultInjector } from './faults/injector.js';
import { createLatencyModel } from './latency.js';
import { Namespace } from './namespace.js';
import type {
  BlockStore,
  ControllerCounters,
  FaultControl,
  FaultPlan,
  HmbReport,
  LatencyModel,
  NvmeController,
  ScratchMemory,
} from './ports.js';
import { readRegister, writeRegister } from './registers.js';
import { resetQueues } from './reset.js';
import { type ControllerSnapshot, restoreSnapshot, takeSnapshot } from './snapshot.js';
import { SparseBlockStore } from './store/sparse-block-store.js';
import * as trace from './trace-events.js';

/** What a controller can be given; everything has a default. */
export interface NvmeControllerDeps {
  /** The medium of a namespace; a sparse memory store unless given or undefined. */
  readonly createStore?: (nsid: number, sizeBytes: number) => BlockStore | undefined;
  /** Overrides the description's latency. */
  readonly latency?: LatencyModel;
  readonly faults?: FaultPlan;
  /** Staging memory, best in the ArrayBuffer of RAM. */
  readonly scratch?: ScratchMemory;
}

/** Builds a controller; throws a RangeError naming the field that is not allowed. */
export function createNvmeController(
  description: NvmeControllerDescription,
  deps: NvmeControllerDeps = {},
): NvmeController {
  return new NvmeDevice(resolveDescription(description), deps);
}

class NvmeDevice implements NvmeController {
  readonly #endpoint: PciEndpoint;
  readonly #state: ControllerState;
  readonly #doorbellEnd: number;
  readonly faults: FaultControl;

  constructor(resolved: ResolvedController, deps: NvmeControllerDeps) {
    this.#endpoint = new PciEndpoint(describeEndpoint(resolved), { functionLevelReset: () => this.reset('flr') });
    const latency = deps.latency ?? createLatencyModel(resolved.latency);
    this.#state = new ControllerState(resolved, this.#endpoint, latency, deps.faults ?? null, deps.scratch);
    const injector = new FaultInjector(this.#state, deps.faults ?? null);
    this.#state.injector = injector;
    this.faults = injector;
    injector.set(resolved.faults);
    this.#doorbellEnd = layoutBar(resolved).tableOffset;
    for (const namespace of resolved.namespaces) {
      const { nsid, sizeBytes } = namespace;
      const store = deps.createStore?.(nsid, sizeBytes) ?? new SparseBlockStore(sizeBytes, namespace.readOnly);
      if (store.sizeBytes < sizeBytes) {
        throw new RangeError(
          `namespace ${nsid} sizeBytes ${sizeBytes} is not allowed: it must be at most its store's ${store.sizeBytes}`,
        );
      }
      this.#state.namespaces[nsid] = new Namespace(namespace, store);
    }
  }

  get counters(): ControllerCounters {
    return this.#state.health;
  }

  get hmb(): HmbReport | null {
    return this.#state.hmb;
  }

  get powerState(): number {
    const { power, host } = this.#state;
    return power.stateAt(host?.nowNs() ?? 0);
  }

  get outstandingCommands(): number {
    return countOutstanding(this.#state);
  }

  attach(host: PciHost): void {
    this.#state.host = host;
    this.#endpoint.attach(host);
    this.#state.injector?.arm();
  }

  configRead(offset: number, size: AccessSize): number {
    if (this.#state.isGone) return allOnes(size);
    return this.#endpoint.configRead(offset, size);
  }

  configWrite(offset: number, value: number, size: AccessSize): void {
    if (this.#state.isGone) return;
    this.#endpoint.configWrite(offset, value, size);
  }

  barRead(bar: number, offset: number, size: AccessSize): number {
    if (this.#state.isGone) return allOnes(size);
    if (bar !== 0) return bar === CMB_BAR ? (this.#state.cmb?.read(offset, size) ?? allOnes(size)) : allOnes(size);
    this.#state.lookAtTracing();
    if (offset < this.#doorbellEnd) return readRegister(this.#state, offset, size);
    return this.#endpoint.msix?.claims(bar, offset) ? this.#endpoint.msix.read(bar, offset, size) : 0;
  }

  barWrite(bar: number, offset: number, value: number, size: AccessSize): void {
    if (bar !== 0) {
      if (bar === CMB_BAR && !this.#state.isGone) this.#state.cmb?.write(offset, value, size);
      return;
    }
    if (offset >= this.#doorbellEnd) {
      this.#endpoint.msix?.write(bar, offset, value, size);
      return;
    }
    const state = this.#state;
    if (state.isGone) return;
    state.lookAtTracing();
    if (state.tracing) state.host?.trace(trace.TRACE_MMIO_WRITE, offset, value >>> 0, size, 0);
    if (offset < NVME_REG_DBS) writeRegister(state, offset, value, size);
    else if (size === 4 && (offset & 3) === 0) writeDoorbell(state, offset, value >>> 0);
  }

  deferred(): void {
    this.#state.lookAtTracing();
    takeTurn(this.#state);
  }

  alarm(): void {
    this.#state.lookAtTracing();
    serveEvents(this.#state);
  }

  reset(kind: PciResetKind): void {
    const state = this.#state;
    resetQueues(state);
    const { registers } = state;
    registers.cc = 0;
    registers.csts = 0;
    state.cmb?.reset();
    if (kind !== 'flr') {
      registers.aqa = 0;
      registers.asqLo = 0;
      registers.asqHi = 0;
      registers.acqLo = 0;
      registers.acqHi = 0;
    }
    this.#endpoint.reset();
  }

  snapshot(): ControllerSnapshot {
    return takeSnapshot(this.#state);
  }

  restore(snapshot: ControllerSnapshot): void {
    restoreSnapshot(this.#state, snapshot);
  }

  setCriticalWarning(bits: number): void {
    this.#state.lookAtTracing();
    setCriticalWarning(this.#state, bits);
  }

  setTemperatureKelvin(kelvin: number): void {
    this.#state.lookAtTracing();
    this.#state.health.temperatureKelvin = kelvin;
    checkTemperature(this.#state);
  }

  setNamespaceActive(nsid: number, active: boolean): void {
    this.#state.lookAtTracing();
    const namespace = this.#namespace(nsid);
    if (namespace.isActive === active) return;
    namespace.isActive = active;
    namespaceChanged(this.#state, nsid);
  }

  resizeNamespace(nsid: number, sizeBytes: number): void {
    this.#state.lookAtTracing();
    const namespace = this.#namespace(nsid);
    const limit = namespace.store.sizeBytes;
    if (!(sizeBytes >= namespace.blockSize && sizeBytes <= limit && sizeBytes % namespace.blockSize === 0)) {
      const allowed = `a multiple of ${namespace.blockSize}, at most its store's ${limit}`;
      throw new RangeError(`sizeBytes ${sizeBytes} is not allowed: it must be ${allowed}`);
    }
    namespace.reshape(sizeBytes, namespace.blockSize, namespace.formatIndex);
    namespaceChanged(this.#state, nsid);
  }

  #namespace(nsid: number): Namespace {
    const namespace = this.#state.namespaces[nsid];
    if (!namespace) throw new RangeError(`nsid ${nsid} is not allowed: it must be one of the description's namespaces`);
    return namespace;
  }
}
