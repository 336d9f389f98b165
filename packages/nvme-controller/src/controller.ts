// An NVMe controller as a PCI function: identity, BAR0, and the way into the device's parts.
// Kernel counterpart: none (the hardware drivers/nvme/host/pci.c drives). Spec: [NVMe] 2.0; NVMe over PCIe 1.0 §3.8.
import { NVME_REG_DBS } from '@nvme-stack/nvme-protocol';
import {
  type AccessSize,
  allOnes,
  type EndpointDescription,
  PCI_EXP_TYPE_RC_END,
  PciEndpoint,
  type PciHost,
  type PciResetKind,
} from '@nvme-stack/pci-function';
import { serveEvents, takeTurn } from './arbitration.js';
import { checkTemperature, namespaceChanged, setCriticalWarning } from './async-events.js';
import { ControllerState } from './controller-state.js';
import { type NvmeControllerDescription, type ResolvedController, resolveDescription } from './description.js';
import { writeDoorbell } from './doorbells.js';
import { countOutstanding } from './fast-rw.js';
import { createLatencyModel } from './latency.js';
import { Namespace } from './namespace.js';
import type {
  BlockStore,
  ControllerCounters,
  FaultPlan,
  LatencyModel,
  NvmeController,
  ScratchMemory,
} from './ports.js';
import { readRegister, writeRegister } from './registers.js';
import { resetQueues } from './reset.js';
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

/** BAR0: registers and doorbells, then the MSI-X table and pending bits behind them. */
function layoutBar(resolved: ResolvedController): { tableOffset: number; pbaOffset: number; sizeBytes: number } {
  const doorbells = NVME_REG_DBS + (resolved.maxIoQueuePairs + 1) * 2 * (4 << resolved.dstrd);
  const tableOffset = Math.floor((doorbells + 0xfff) / 0x1000) * 0x1000;
  const pbaOffset = tableOffset + Math.floor((resolved.msixVectors * 16 + 0xfff) / 0x1000) * 0x1000;
  let sizeBytes = 0x4000;
  while (sizeBytes < pbaOffset + 0x100) sizeBytes *= 2;
  return { tableOffset, pbaOffset, sizeBytes };
}

function describeEndpoint(resolved: ResolvedController): EndpointDescription {
  const { tableOffset, pbaOffset, sizeBytes } = layoutBar(resolved);
  const vectors = resolved.msixVectors;
  return {
    identity: {
      vendorId: 0x1b36,
      deviceId: 0x0010,
      revisionId: 2,
      classCode: 0x010802,
      subsystemVendorId: 0x1af4,
      subsystemId: 0x1100,
      interruptPin: 1,
    },
    bars: [{ index: 0, sizeBytes, is64Bit: true }],
    capabilities: [
      { kind: 'msix', offset: 0x40, vectors, tableBar: 0, tableOffset, pbaBar: 0, pbaOffset },
      {
        kind: 'express',
        offset: 0x80,
        type: PCI_EXP_TYPE_RC_END,
        functionLevelReset: true,
        deviceCapabilities2: 0x00300000,
      },
      { kind: 'pm', offset: 0x60 },
    ],
  };
}

class NvmeDevice implements NvmeController {
  readonly #endpoint: PciEndpoint;
  readonly #state: ControllerState;
  readonly #doorbellEnd: number;

  constructor(resolved: ResolvedController, deps: NvmeControllerDeps) {
    this.#endpoint = new PciEndpoint(describeEndpoint(resolved), { functionLevelReset: () => this.reset('flr') });
    const latency = deps.latency ?? createLatencyModel(resolved.latency);
    this.#state = new ControllerState(resolved, this.#endpoint, latency, deps.faults ?? null, deps.scratch);
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

  get outstandingCommands(): number {
    return countOutstanding(this.#state);
  }

  attach(host: PciHost): void {
    this.#state.host = host;
    this.#endpoint.attach(host);
  }

  configRead(offset: number, size: AccessSize): number {
    return this.#endpoint.configRead(offset, size);
  }

  configWrite(offset: number, value: number, size: AccessSize): void {
    this.#endpoint.configWrite(offset, value, size);
  }

  barRead(bar: number, offset: number, size: AccessSize): number {
    if (bar !== 0) return allOnes(size);
    this.#state.lookAtTracing();
    if (offset < this.#doorbellEnd) return readRegister(this.#state, offset, size);
    return this.#endpoint.msix?.claims(bar, offset) ? this.#endpoint.msix.read(bar, offset, size) : 0;
  }

  barWrite(bar: number, offset: number, value: number, size: AccessSize): void {
    if (bar !== 0) return;
    if (offset >= this.#doorbellEnd) {
      this.#endpoint.msix?.write(bar, offset, value, size);
      return;
    }
    const state = this.#state;
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
    if (kind !== 'flr') {
      registers.aqa = 0;
      registers.asqLo = 0;
      registers.asqHi = 0;
      registers.acqLo = 0;
      registers.acqHi = 0;
    }
    this.#endpoint.reset();
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
