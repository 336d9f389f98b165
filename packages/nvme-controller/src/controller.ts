// An NVMe controller as a PCI function: identity, BAR0, and the way into the device's parts.
// Kernel counterpart: none (the hardware drivers/nvme/host/pci.c drives). Spec: [NVMe] 2.0; NVMe over PCIe 1.0 §3.8.
import { NVME_REG_DBS } from '@nvme-stack/nvme-protocol';
import {
  type AccessSize,
  allOnes,
  PciEndpoint,
  type PciFunction,
  type PciHost,
  type PciResetKind,
} from '@nvme-stack/pci-function';
import { serveEvents, takeTurn } from './arbitration.js';
import { checkTemperature, namespaceChanged, setCriticalWarning } from './async-events.js';
import { ControllerState } from './controller-state.js';
import { type NvmeControllerDescription, type ResolvedController, resolveDescription } from './description.js';
import { writeDoorbell } from './doorbells.js';
import { CMB_BAR, describeEndpoint, describeVirtualEndpoint, layoutBar } from './endpoint-layout.js';
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
  StreamsReport,
} from './ports.js';
import { refuse } from './refuse.js';
import { ignoreOffline, offlineRegister, readRegister, writeRegister } from './registers.js';
import { resetQueues } from './reset.js';
import { type ControllerSnapshot, restoreSnapshot, takeSnapshot } from './snapshot.js';
import { type SecondaryController, VI, VQ } from './sriov/resources.js';
import { followPrimary } from './sriov/secondary.js';
import { resolveVirtual } from './sriov/virtual-description.js';
import { type VirtualFunction, VirtualFunctions } from './sriov/virtual-functions.js';
import { SparseBlockStore } from './store/sparse-block-store.js';
import * as trace from './trace-events.js';

/** What a controller can be given; everything has a default. */
export interface NvmeControllerDeps {
  /** The medium of a namespace; a sparse memory store unless given or undefined. */
  readonly createStore?: (nsid: number, sizeBytes: number) => BlockStore | undefined;
  /** Overrides the description's latency. */
  readonly latency?: LatencyModel;
  readonly faults?: FaultPlan;
  /** Another controller, described with `multiController`: its subsystem and its namespaces are this one's too. */
  readonly peer?: NvmeController;
  /** Staging memory, best in the ArrayBuffer of RAM. */
  readonly scratch?: ScratchMemory;
}

/** Builds a controller; throws a RangeError naming the field that is not allowed. */
export function createNvmeController(
  description: NvmeControllerDescription,
  deps: NvmeControllerDeps = {},
): NvmeController {
  const { peer } = deps;
  const resolved = resolveDescription(peer === undefined ? description : besidePeer(description, peer));
  if (resolved.multiController && resolved.sriov !== null) refuse('multiController', true, 'false with sriovMaxVfs');
  const device = new NvmeDevice(resolved, deps, null);
  if (peer === undefined) device.addNamespaces(resolved, deps);
  else device.joinPeer(peer as NvmeDevice);
  return device;
}

/** The description of a controller in the subsystem of another one, whose namespaces it has. */
function besidePeer(description: NvmeControllerDescription, peer: NvmeController): NvmeControllerDescription {
  if (!(peer instanceof NvmeDevice) || !peer.state.description.multiController)
    throw new RangeError('the peer of a controller is not allowed: it must be a controller with multiController');
  if (description.namespaces.length > 0)
    refuse('namespaces', description.namespaces.length, "none, for they are its peer's");
  const { state } = peer;
  const taken = state.subsystem.map(({ controllerId }) => controllerId);
  const { controllerId = Math.max(...taken) + 1 } = description;
  if (taken.includes(controllerId)) refuse('controllerId', controllerId, 'one that no other controller has');
  const { serial, model, firmware, subsystemNqn } = state.description;
  return { ...description, serial, model, firmware, subsystemNqn, controllerId, multiController: true };
}

/** A virtual function's place: whose it is, and which. */
interface Secondary {
  readonly primary: ControllerState;
  readonly secondary: SecondaryController;
}

class NvmeDevice implements NvmeController, VirtualFunction {
  readonly #endpoint: PciEndpoint;
  readonly #state: ControllerState;
  readonly #secondary: SecondaryController | null;
  readonly #doorbellEnd: number;
  readonly faults: FaultControl;

  constructor(resolved: ResolvedController, deps: NvmeControllerDeps, place: Secondary | null) {
    const described = place === null ? describeEndpoint(resolved) : describeVirtualEndpoint(resolved);
    this.#endpoint = new PciEndpoint(described, {
      functionLevelReset: () => this.reset('flr'),
      virtualFunctionsChanged: () => this.#state.virtualFunctions?.enable(this.#endpoint.sriov?.numVfs ?? 0),
    });
    const latency = deps.latency ?? createLatencyModel(resolved.latency);
    const id = place?.secondary.controllerId ?? 0;
    this.#state = new ControllerState(resolved, this.#endpoint, latency, deps.faults ?? null, deps.scratch, id);
    this.#secondary = place?.secondary ?? null;
    const injector = new FaultInjector(this.#state, deps.faults ?? null);
    this.#state.injector = injector;
    this.faults = injector;
    injector.set(resolved.faults);
    this.#doorbellEnd = layoutBar(resolved).tableOffset;
    if (place !== null) this.#joinPrimary(place);
    else if (resolved.sriov !== null) this.#offerVirtualFunctions(resolved, deps);
  }

  get state(): ControllerState {
    return this.#state;
  }

  /** Its namespaces, each with its store. */
  addNamespaces(resolved: ResolvedController, deps: NvmeControllerDeps): void {
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

  /** Shares the subsystem and the namespaces of another controller. */
  joinPeer({ state: peer }: NvmeDevice): void {
    const state = this.#state;
    state.subsystem = peer.subsystem;
    state.subsystem.push(state);
    for (const namespace of peer.namespaces) if (namespace !== null) state.namespaces[namespace.nsid] = namespace;
  }

  #joinPrimary({ primary, secondary }: Secondary): void {
    const state = this.#state;
    state.subsystem = primary.subsystem;
    for (const namespace of primary.namespaces) if (namespace !== null) state.namespaces[namespace.nsid] = namespace;
    followPrimary(state, secondary);
  }

  #offerVirtualFunctions(resolved: ResolvedController, deps: NvmeControllerDeps): void {
    const primary = this.#state;
    const { sriov } = resolved;
    if (sriov === null) return;
    const virtual = resolveVirtual(resolved, sriov);
    const shared = deps.latency === undefined ? {} : { latency: deps.latency };
    primary.virtualFunctions = new VirtualFunctions(
      primary,
      (secondary) => new NvmeDevice(virtual, shared, { primary, secondary }),
    );
    this.#activate();
  }

  /** The primary has its own queues and vectors, and of the flexible ones what it was promised. */
  #activate(): void {
    const { resources, allotment } = this.#state;
    resources.activatePrimary();
    const [queues, vectors] = [VQ, VI].map((type) => resources.pools[type].own + resources.pools[type].primary);
    allotment.change(this.#endpoint, queues as number, vectors as number);
  }

  virtualFunctions(): readonly PciFunction[] {
    return this.#state.virtualFunctions?.present ?? [];
  }

  get counters(): ControllerCounters {
    return this.#state.health;
  }

  get streams(): StreamsReport | null {
    return this.#state.streams;
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
    if (offset < this.#doorbellEnd) {
      return this.#state.isOffline
        ? offlineRegister(this.#state, offset, size)
        : readRegister(this.#state, offset, size);
    }
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
    if (offset >= NVME_REG_DBS) {
      if (size === 4 && (offset & 3) === 0) writeDoorbell(state, offset, value >>> 0);
    } else if (state.isOffline) ignoreOffline(state, offset, size);
    else writeRegister(state, offset, value, size);
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
    const { registers } = state;
    if (this.#secondary !== null) {
      followPrimary(state, this.#secondary);
    } else {
      resetQueues(state);
      registers.cc = 0;
      registers.csts = 0;
    }
    state.cmb?.reset();
    if (state.virtualFunctions !== null) {
      state.virtualFunctions.removeAll();
      state.virtualFunctions.setAllOffline();
      this.#activate();
    }
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
    if (!namespace.resize(sizeBytes)) {
      const allowed = 'no larger than when the namespace was formatted, for its metadata lie behind its data';
      throw new RangeError(`sizeBytes ${sizeBytes} is not allowed: it must be ${allowed}`);
    }
    namespaceChanged(this.#state, nsid);
  }

  #namespace(nsid: number): Namespace {
    const namespace = this.#state.namespaces[nsid];
    if (!namespace) throw new RangeError(`nsid ${nsid} is not allowed: it must be one of the description's namespaces`);
    return namespace;
  }
}
