/**
 * A controller: its data, and how it comes and goes.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_init_ctrl, nvme_add_ctrl, nvme_uninit_ctrl, nvme_free_ctrl.
 */
import type { BlkMqTagSet, RequestQueue } from '@nvme-stack/blk-mq/ports';
import type { Cdev, Device } from '@nvme-stack/device-core/ports';
import { type HasKernel, type Kernel, KernelError, Mutex, NO_PAGE, traced, WaitQueue } from '@nvme-stack/kernel';
import type { DelayedWork, WorkStruct } from '@nvme-stack/workqueue/ports';
import type { CoreState } from './core.js';
import { AnaState } from './multipath/ana.js';
import { nvmeMpathUninit } from './multipath/init-ctrl.js';
import type { NvmeCtrl, NvmeCtrlOps, NvmeCtrlState, NvmeNs, Uint64 } from './ports.js';
import { NVME_CTRL_NEW, NVME_QUIRK_SKIP_CID_GEN } from './ports.js';
import type { PowerState } from './power-state.js';
import type { Subsystem } from './subsystem.js';

const ZERO: Uint64 = { lo: 0, hi: 0 };

/** Effects of each admin and I/O opcode. @kernel include/linux/nvme.h nvme_effects_log */
export interface CommandEffectsTable {
  readonly acs: Uint32Array;
  readonly iocs: Uint32Array;
}

/** @kernel drivers/nvme/host/nvme.h nvme_ctrl */
export class Ctrl implements NvmeCtrl {
  readonly kernel: Kernel;
  readonly core: CoreState;
  readonly instance: number;
  readonly name: string;
  readonly transport: unknown;
  readonly ops: NvmeCtrlOps;
  readonly dev: Device;
  device!: Device;
  quirks: number;
  state: NvmeCtrlState = NVME_CTRL_NEW;
  readonly stateWq: WaitQueue;
  readonly numaNode: number;
  /** 1 when a tag's uses are counted in its CIDs, else 0; and the bits of a CID that are the tag. */
  readonly genctrStep: number;
  readonly tagMask: number;

  adminTagset: BlkMqTagSet | null = null;
  adminQ: RequestQueue | null = null;
  tagset: BlkMqTagSet | null = null;
  /** Queues are quiesced (NVME_CTRL_STOPPED, NVME_CTRL_ADMIN_Q_STOPPED). */
  ioStopped = false;
  adminStopped = false;
  /** Queues are frozen: no namespace may be added (NVME_CTRL_FROZEN). */
  frozen = false;

  cap: Uint64 = ZERO;
  vs = 0;
  ctrlConfig = 0;
  /** The controller was identified before (this is a reset). */
  identified = false;
  /** CAP.NSSRS: it can reset its subsystem. */
  canResetSubsystem = false;
  sqsize = 0xffff;
  queueCount = 0;
  pageSizeBytes = 4096;
  /** 0: no limit yet. */
  maxHwSectors = 0;
  maxSegments = 0;
  maxIntegritySegments = 0;
  maxZeroesSectors = 0;
  dmrl = 0;
  dmrsl = 0;
  /** Identify CNS 06h was refused: not asked again. */
  skipIdCnsCs = false;
  oacs = 0;
  oncs = 0;
  oaes = 0;
  ctratt = 0;
  vwc = 0;
  sgls = 0;
  aerl = 0;
  abortLimit = 0;
  hmpre = 0;
  hmmin = 0;
  hmminds = 0;
  hmmaxd = 0;
  cntlid = 0;
  cntrltype = 0;
  dctype = 0;
  npss = 0;
  apsta = 0;
  apstEnabled = false;
  psMaxLatencyUs = 0;
  psd: readonly PowerState[] = [];
  wctemp = 0;
  cctemp = 0;
  mtfa = 0;
  kas = 0;
  /** Keep alive time-out, seconds; 0: none. */
  kato = 0;
  /** Command retry delays, units of 100 ms. */
  crdt: readonly number[] = [0, 0, 0];
  serial = '';
  model = '';
  firmwareRev = '';
  subsysNqn = '';
  shutdownTimeoutNs = 0;
  subsys: Subsystem | null = null;
  /** Its number stays taken when it goes: a subsystem that lives on is named after it. */
  keepsInstance = false;
  /** Streams in use for write hints; 0: none. @kernel drivers/nvme/host/nvme.h nvme_ctrl.nr_streams */
  nrStreams = 0;
  /** The log was read; `effects` is made of it. */
  effectsLogKnown = false;
  effects: CommandEffectsTable = { acs: new Uint32Array(256), iocs: new Uint32Array(256) };
  /** A passthrough command changed what the controller can do. */
  dirtyCapability = false;
  passthruErrLogEnabled = false;

  resetWork: WorkStruct | null = null;
  readonly scanWork: WorkStruct;
  readonly asyncEventWork: WorkStruct;
  readonly fwActWork: WorkStruct;
  readonly kaWork: DelayedWork;
  /** What the controller is asked when it starts; lifecycle.ts has it. */
  readonly initFinish: (ctrl: Ctrl) => Promise<void>;
  readonly scanLock: Mutex;
  readonly namespacesLock: Mutex;
  namespaces: NvmeNs[] = [];
  asyncEventsOutstanding = 0;
  /** What the last event said, until it was told to userland. */
  aenResult = 0;
  /** A changed namespace list waits to be read. */
  nsChanged = false;
  /** Page for a discard when memory is short. */
  discardPage = NO_PAGE;
  discardPageBusy = false;
  cdev: Cdev | null = null;
  ana: AnaState;
  /** Requests of heads' disks under way, where the policy asks. */
  nrActive = 0;
  hwmon: HasKernel | null = null;

  constructor(core: CoreState, dev: Device, ops: NvmeCtrlOps, quirks: number, transport: unknown, works: CtrlWorks) {
    const { kernel, workqueues } = core;
    this.kernel = kernel;
    this.core = core;
    this.instance = core.instances.alloc();
    this.name = `nvme${this.instance}`;
    this.transport = transport;
    this.ops = ops;
    this.dev = dev;
    this.quirks = quirks;
    this.numaNode = dev.numaNode;
    const counts = core.era.cidGeneration;
    this.genctrStep = counts && (quirks & NVME_QUIRK_SKIP_CID_GEN) === 0 ? 1 : 0;
    this.tagMask = counts ? 0xfff : 0xffff;
    this.stateWq = new WaitQueue(kernel, `${this.name} state_wq`);
    this.scanLock = new Mutex(kernel, `${this.name} scan_lock`);
    this.namespacesLock = new Mutex(kernel, `${this.name} namespaces_lock`);
    this.initFinish = works.initFinish;
    this.shutdownTimeoutNs = core.number('shutdown_timeout') * 1e9;
    this.scanWork = workqueues.initWork('nvme_scan_work', this as Ctrl, works.scan);
    this.asyncEventWork = workqueues.initWork('nvme_async_event_work', this as Ctrl, works.asyncEvent);
    this.fwActWork = workqueues.initWork('nvme_fw_act_work', this as Ctrl, works.fwAct);
    this.kaWork = workqueues.initDelayedWork('nvme_keep_alive_work', this as Ctrl, works.keepAlive);
    this.ana = new AnaState(this as Ctrl);
  }
}

/** Handlers of a controller's works, and what else leads back to its life. */
export interface CtrlWorks {
  readonly scan: (ctrl: Ctrl) => Promise<void>;
  readonly asyncEvent: (ctrl: Ctrl) => Promise<void>;
  readonly fwAct: (ctrl: Ctrl) => Promise<void>;
  readonly keepAlive: (ctrl: Ctrl) => Promise<void>;
  /** nvme_init_ctrl_finish. */
  readonly initFinish: (ctrl: Ctrl) => Promise<void>;
}

/** Takes and drops references; the last one frees the controller. Any context. @kernel drivers/nvme/host/nvme.h nvme_get_ctrl, nvme_put_ctrl */
export function nvmeGetCtrl(ctrl: Ctrl): void {
  ctrl.core.deviceCore.getDevice(ctrl.device);
}
export function nvmePutCtrl(ctrl: Ctrl): void {
  ctrl.core.deviceCore.putDevice(ctrl.device);
}

/** The device object's release. @kernel drivers/nvme/host/core.c nvme_free_ctrl */
export const nvmeFreeCtrl = traced('nvme_free_ctrl', (ctrl: Ctrl): void => {
  const { core } = ctrl;
  if (core.era.multipath !== null) nvmeMpathUninit(ctrl);
  if (ctrl.discardPage !== NO_PAGE) ctrl.kernel.memory.freePages(ctrl.discardPage, 1);
  ctrl.discardPage = NO_PAGE;
  const at = core.controllers.indexOf(ctrl);
  if (at >= 0) core.controllers.splice(at, 1);
  if (!ctrl.keepsInstance) core.instances.free(ctrl.instance);
  ctrl.ops.freeCtrl(ctrl);
});

/** The page a discard uses when no other can be had. Throws ENOMEM. */
export function allocDiscardPage(ctrl: Ctrl): void {
  ctrl.discardPage = ctrl.kernel.memory.allocPages(1, 'nvme-core');
  if (ctrl.discardPage === NO_PAGE) throw new KernelError('ENOMEM', `${ctrl.name}: discard page`);
}
