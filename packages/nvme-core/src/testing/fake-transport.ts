/**
 * A transport for tests: does what nvme-pci-driver does, with a model of a controller in place of rings and registers.
 * Commands are answered in hard interrupt context a little later; every command is kept for inspection.
 */
import {
  BLK_EH_DONE,
  BLK_STS_OK,
  type BlkMq,
  type BlkMqHwCtx,
  type BlkMqOps,
  type BlkMqQueueData,
  type BlkStatus,
  type Request,
} from '@nvme-stack/blk-mq/ports';
import type { Device, DeviceCore } from '@nvme-stack/device-core/ports';
import type { Item, Kernel, ScatterList } from '@nvme-stack/kernel';
import type { Workqueues } from '@nvme-stack/workqueue/ports';
import {
  NVME_CTRL_CONNECTING,
  NVME_CTRL_DELETING,
  NVME_CTRL_LIVE,
  NVME_F_METADATA_SUPPORTED,
  type NvmeCore,
  type NvmeCtrl,
  type NvmeCtrlOps,
  type NvmeNs,
  type NvmePdu,
} from '../ports.js';
import type { TinyAnswer, TinyController } from './tiny-controller.js';

/** What a transport stands on. */
export interface FakeTransportDeps {
  readonly kernel: Kernel;
  readonly core: NvmeCore;
  readonly blkMq: BlkMq;
  readonly deviceCore: DeviceCore;
  readonly workqueues: Workqueues;
}

/** A command as it was sent. */
export interface SentCommand {
  readonly qid: number;
  /** Its 16 words. */
  readonly words: Uint32Array;
  readonly lengthBytes: number;
}

/** What a test makes of a command: an answer, `hold` to never answer, or nothing (the model answers). */
export type Intercept = (command: SentCommand) => Partial<TinyAnswer> | 'hold' | undefined;

interface Pending {
  readonly rq: Request;
  readonly hwQueue: number;
  readonly admin: boolean;
  readonly cid: number;
  readonly answer: TinyAnswer;
}

const LATENCY_NS = 10_000;
const SEGMENTS = 256;

function scatterList(): ScatterList {
  return {
    capacity: SEGMENTS,
    nents: 0,
    physAddr: new Float64Array(SEGMENTS),
    lengthBytes: new Float64Array(SEGMENTS),
    mappedNents: 0,
    dmaAddr: new Float64Array(SEGMENTS),
    dmaLengthBytes: new Float64Array(SEGMENTS),
  };
}

/** The transport. `probe` and `remove` are what a bus driver's would be; task context. */
export class FakeNvmeTransport {
  readonly deps: FakeTransportDeps;
  readonly controller: TinyController;
  readonly sent: SentCommand[] = [];
  readonly parent: Device;
  ctrl!: NvmeCtrl;
  intercept: Intercept = () => undefined;
  asyncEvents = 0;
  freed = false;
  private readonly pending: Pending[] = [];
  private readonly irq: Item;
  private readonly sg = scatterList();
  private live = false;

  constructor(deps: FakeTransportDeps, controller: TinyController, name = 'fake0') {
    this.deps = deps;
    this.controller = controller;
    this.parent = deps.deviceCore.deviceInitialize({ name, parent: null, container: this });
    this.irq = deps.kernel.ex.item('hardirq', 0, drain, this as FakeNvmeTransport);
  }

  /** From nothing to a scanned controller. */
  async probe(quirks = 0, queues = 2): Promise<NvmeCtrl> {
    const { core, deviceCore, workqueues } = this.deps;
    await deviceCore.deviceAdd(this.parent);
    this.ctrl = core.nvmeInitCtrl(this.parent, this.ctrlOps(), quirks, this);
    await core.nvmeAddCtrl(this.ctrl);
    this.ctrl.resetWork = workqueues.initWork('nvme_reset_work', this as FakeNvmeTransport, resetWork);
    // Older cores leave it to the transport to read CAP.
    this.ctrl.cap = this.controller.cap;
    await core.nvmeDisableCtrl(this.ctrl, false);
    await core.nvmeEnableCtrl(this.ctrl);
    this.live = true;
    await core.nvmeAllocAdminTagSet(this.ctrl, { ops: this.blkMqOps(true), nrMaps: 1, driverData: this });
    core.nvmeChangeCtrlState(this.ctrl, NVME_CTRL_CONNECTING);
    await core.nvmeInitCtrlFinish(this.ctrl, false);
    this.ctrl.queueCount = (await core.nvmeSetQueueCount(this.ctrl, queues)) + 1;
    await core.nvmeAllocIoTagSet(this.ctrl, { ops: this.blkMqOps(false), nrMaps: 1, driverData: this });
    core.nvmeChangeCtrlState(this.ctrl, NVME_CTRL_LIVE);
    await core.nvmeStartCtrl(this.ctrl);
    await workqueues.flushWork(this.ctrl.scanWork);
    return this.ctrl;
  }

  /** The reset a transport's work does. */
  async reset(): Promise<void> {
    const { core } = this.deps;
    this.live = false;
    await core.nvmeQuiesceIoQueues(this.ctrl);
    await core.nvmeQuiesceAdminQueue(this.ctrl);
    await core.nvmeDisableCtrl(this.ctrl, false);
    this.pending.length = 0;
    await core.nvmeCancelTagset(this.ctrl);
    await core.nvmeCancelAdminTagset(this.ctrl);
    await core.nvmeEnableCtrl(this.ctrl);
    this.live = true;
    core.nvmeUnquiesceAdminQueue(this.ctrl);
    core.nvmeChangeCtrlState(this.ctrl, NVME_CTRL_CONNECTING);
    await core.nvmeInitCtrlFinish(this.ctrl, false);
    await core.nvmeSetQueueCount(this.ctrl, this.ctrl.queueCount - 1);
    core.nvmeUnquiesceIoQueues(this.ctrl);
    core.nvmeChangeCtrlState(this.ctrl, NVME_CTRL_LIVE);
    await core.nvmeStartCtrl(this.ctrl);
  }

  /** Takes everything away. */
  async remove(): Promise<void> {
    const { core, deviceCore } = this.deps;
    core.nvmeChangeCtrlState(this.ctrl, NVME_CTRL_DELETING);
    await core.nvmeStopCtrl(this.ctrl);
    await core.nvmeRemoveNamespaces(this.ctrl);
    this.live = false;
    await core.nvmeQuiesceAdminQueue(this.ctrl);
    await core.nvmeDisableCtrl(this.ctrl, true);
    await core.nvmeCancelTagset(this.ctrl);
    await core.nvmeCancelAdminTagset(this.ctrl);
    core.nvmeUnquiesceAdminQueue(this.ctrl);
    await core.nvmeRemoveIoTagSet(this.ctrl);
    await core.nvmeRemoveAdminTagSet(this.ctrl);
    await core.nvmeUninitCtrl(this.ctrl);
    core.nvmePutCtrl(this.ctrl);
    await deviceCore.deviceDel(this.parent);
    deviceCore.putDevice(this.parent);
  }

  /** Commands of a queue as `opcode:what`, in order: identify by CNS, logs by LID, features by FID. */
  story(qid = 0): string[] {
    const names: Record<number, string> = { 2: 'log', 6: 'identify', 9: 'set', 10: 'get' };
    return this.sent
      .filter((command) => command.qid === qid)
      .map(({ words }) => `${names[words[0] & 0xff] ?? `opcode ${words[0] & 0xff}`} ${words[10] & 0xff}`);
  }

  private ctrlOps(): NvmeCtrlOps {
    const { controller } = this;
    return {
      name: 'pcie',
      flags: NVME_F_METADATA_SUPPORTED,
      regRead32: (_ctrl, offset) => controller.read32(offset),
      regWrite32: (_ctrl, offset, value) => controller.write32(offset, value),
      regRead64: () => controller.cap,
      freeCtrl: () => {
        this.freed = true;
      },
      submitAsyncEvent: () => {
        this.asyncEvents++;
      },
      getAddress: () => '0000:00:04.0',
      printDeviceInfo: () => {},
      supportsPciP2pdma: () => true,
    };
  }

  private blkMqOps(admin: boolean): BlkMqOps {
    const { core } = this.deps;
    return {
      initRequest: (_set, rq) => {
        const pdu: NvmePdu = { nvme: core.nvmeInitRequestData(this.ctrl, rq) };
        rq.pdu = pdu;
      },
      queueRq: (hctx, bd) => this.queueRq(hctx, bd, admin),
      complete: (rq) => core.nvmeCompleteRq(rq),
      timeout: (rq) => {
        core.nvmeCancelRequest(rq, this.ctrl);
        return BLK_EH_DONE;
      },
    };
  }

  private queueRq(hctx: BlkMqHwCtx, { rq }: BlkMqQueueData, admin: boolean): BlkStatus {
    const { core, kernel } = this.deps;
    if (!core.nvmeCheckReady(this.ctrl, rq, this.live)) return core.nvmeFailNonreadyCommand(this.ctrl, rq);
    const status = core.nvmeSetupCmd(admin ? null : (rq.q.queuedata as NvmeNs), rq);
    if (status !== BLK_STS_OK) return status;
    core.nvmeStartRequest(rq);
    const { cmd } = (rq.pdu as NvmePdu).nvme;
    const data = this.gather(rq);
    const command = { qid: admin ? 0 : hctx.queueNum + 1, words: cmd.slice(), lengthBytes: data.length };
    this.sent.push(command);
    const verdict = this.intercept(command);
    if (verdict === 'hold') return BLK_STS_OK;
    const answer =
      verdict === undefined
        ? this.controller.execute(command.qid, cmd, data)
        : { status: 0, result: 0, data: null, ...verdict };
    this.pending.push({ rq, hwQueue: hctx.queueNum, admin, cid: cmd[0] >>> 16, answer });
    kernel.ex.arm(this.irq, kernel.ex.now() + LATENCY_NS);
    return BLK_STS_OK;
  }

  /** Pieces of a request's data. */
  private pieces(rq: Request): { readonly addr: number; readonly length: number }[] {
    const { nvme } = rq.pdu as NvmePdu;
    if (nvme.specialVecLengthBytes > 0) return [{ addr: nvme.specialVecAddr, length: nvme.specialVecLengthBytes }];
    if (rq.nrPhysSegments === 0) return [];
    const count = this.deps.blkMq.blkRqMapSg(rq, this.sg);
    return Array.from({ length: count }, (_, i) => ({ addr: this.sg.physAddr[i], length: this.sg.lengthBytes[i] }));
  }

  private gather(rq: Request): Uint8Array {
    const { bytes } = this.deps.kernel.memory;
    const pieces = this.pieces(rq);
    const data = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const { addr, length } of pieces) {
      data.set(bytes.subarray(addr, addr + length), at);
      at += length;
    }
    return data;
  }

  /** Metadata that was never written: its application tags say that nothing is to be checked. */
  private fillMetadata(rq: Request): void {
    const vec = this.deps.blkMq.rqIntegrityVec(rq);
    if (vec === null || ((rq.pdu as NvmePdu).nvme.cmd[0] & 1) !== 0) return;
    this.deps.kernel.memory.bytes.fill(0xff, vec.addr, vec.addr + vec.lengthBytes);
  }

  /** Answers what is due, as an interrupt handler would. */
  complete(): void {
    const { core, kernel } = this.deps;
    const due = this.pending.splice(0);
    for (const { hwQueue, admin, cid, answer } of due) {
      const set = admin ? this.ctrl.adminTagset : this.ctrl.tagset;
      const rq = set === null ? null : core.nvmeFindRq(this.ctrl, set, hwQueue, cid);
      if (rq === null) continue;
      let at = 0;
      if (answer.data !== null) {
        for (const { addr, length } of this.pieces(rq)) {
          kernel.memory.bytes.set(answer.data.subarray(at, at + length), addr);
          at += length;
        }
      }
      this.fillMetadata(rq);
      core.traceNvmeSq(rq, 0, 0);
      if (!core.nvmeTryCompleteReq(rq, answer.status, answer.result, answer.resultHi ?? 0)) core.nvmeCompleteRq(rq);
    }
  }
}

function drain(transport: FakeNvmeTransport): void {
  transport.complete();
}

async function resetWork(transport: FakeNvmeTransport): Promise<void> {
  await transport.reset();
}
