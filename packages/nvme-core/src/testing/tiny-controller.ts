/**
 * A controller just large enough for the core's tests: registers, Identify, logs, features, and blocks in an array.
 * It speaks commands, not queues; the transport carries them.
 */
import {
  CC,
  CSTS,
  encodeNsIdDescriptors,
  NVME_CMD_EFFECTS_CSUPP,
  NVME_CMD_EFFECTS_LBCC,
  NVME_CSI_NVM,
  NVME_ID_CNS_CS_CTRL,
  NVME_ID_CNS_CS_NS,
  NVME_ID_CNS_CTRL,
  NVME_ID_CNS_NS,
  NVME_ID_CNS_NS_ACTIVE_LIST,
  NVME_ID_CNS_NS_DESC_LIST,
  NVME_LOG_ANA,
  NVME_LOG_CHANGED_NS,
  NVME_LOG_CMD_EFFECTS,
  NVME_LOG_SMART,
  NVME_NIDT_CSI,
  NVME_NIDT_UUID,
  NVME_REG_CAP,
  NVME_REG_CC,
  NVME_REG_CSTS,
  NVME_REG_VS,
  NVME_SC_INVALID_FIELD,
  NVME_SC_INVALID_NS,
  NVME_SC_INVALID_OPCODE,
  NVME_SC_LBA_RANGE,
  NVME_STATUS_DNR,
  NvmeAdminOpcode,
  NvmeAnaGroupDesc,
  NvmeAnaRspHdr,
  NvmeEffectsLog,
  NvmeIdCtrl,
  NvmeIdNs,
  NvmeNsList,
  NvmeNvmOpcode,
  NvmeSmartLog,
} from '@nvme-stack/nvme-protocol';
import type { Uint64 } from '../ports.js';

/** A namespace of the model. */
export interface TinyNamespace {
  readonly nsid: number;
  readonly blocks: number;
  /** Default 9. */
  readonly lbaShift?: number;
  /** Sixteen bytes; default: none, then the disk is named by serial and model. */
  readonly uuid?: Uint8Array;
  /** Other fields of Identify Namespace. */
  readonly identify?: Parameters<typeof NvmeIdNs.encode>[0];
}

/** What the model is made from. */
export interface TinyControllerOptions {
  readonly namespaces: readonly TinyNamespace[];
  /** Fields of Identify Controller that differ from the defaults. */
  readonly identify?: Parameters<typeof NvmeIdCtrl.encode>[0];
  /** Version register; default 1.4. */
  readonly vs?: number;
  /** Entries of the effects log that differ from the defaults (supported; writes change blocks), by opcode. */
  readonly adminEffects?: Readonly<Record<number, number>>;
  readonly ioEffects?: Readonly<Record<number, number>>;
  /** Blocks by namespace, which other controllers may have too; default: its own. */
  readonly medium?: Map<number, Uint8Array>;
  /** State of the one group that all namespaces are in (Asymmetric Namespace Access); default: there is no such log. */
  readonly anaState?: number;
}

/** How the model answers a command. */
export interface TinyAnswer {
  /** Status without the phase bit. */
  readonly status: number;
  readonly result: number;
  readonly resultHi?: number;
  /** Bytes for the host. */
  readonly data: Uint8Array | null;
}

const OK: TinyAnswer = { status: 0, result: 0, data: null };
const refuse = (status: number): TinyAnswer => ({ status: status | NVME_STATUS_DNR, result: 0, data: null });
const give = (data: Uint8Array): TinyAnswer => ({ status: 0, result: 0, data });

/** CAP of QEMU's controller: 2048 entries, 7.5 s, NVM and more command sets. */
const QEMU_CAP: Uint64 = { lo: 0x0f0107ff, hi: 0x00401820 };
const LATER_CAPACITY_WORD = 4294967296;

/** The model. */
export class TinyController {
  cap: Uint64 = QEMU_CAP;
  namespaces: TinyNamespace[];
  readonly blocks: Map<number, Uint8Array>;
  anaState: number | undefined;
  /** Features as they were set, by id; data of those that carry some. */
  readonly features = new Map<number, { readonly dword11: number; readonly data: Uint8Array }>();
  /** Ranges of Dataset Management, as bytes. */
  readonly discards: Uint8Array[] = [];
  /** Register writes, in order. */
  readonly writes: { readonly offset: number; readonly value: number }[] = [];
  /** CSTS.RDY follows CC.EN; false: it stays as it is. */
  responsive = true;
  private readonly options: TinyControllerOptions;
  private readonly vs: number;
  private cc = 0;
  private csts = 0;

  constructor(options: TinyControllerOptions) {
    this.options = options;
    this.vs = options.vs ?? 0x10400;
    this.namespaces = [...options.namespaces];
    this.blocks = options.medium ?? new Map();
    this.anaState = options.anaState;
  }

  read32(offset: number): number {
    if (offset === NVME_REG_CAP) return this.cap.lo;
    if (offset === NVME_REG_VS) return this.vs;
    if (offset === NVME_REG_CC) return this.cc;
    return offset === NVME_REG_CSTS ? this.csts : 0;
  }

  write32(offset: number, value: number): void {
    this.writes.push({ offset, value });
    if (offset !== NVME_REG_CC || !this.responsive) return;
    this.cc = value;
    const shutdown = CC.SHN.get(value) !== 0 ? CSTS.SHST.put(2) : 0;
    this.csts = CSTS.RDY.put(CC.EN.get(value)) | shutdown;
  }

  /** Runs a command; `data` is what the host sent. */
  execute(qid: number, cmd: Uint32Array, data: Uint8Array): TinyAnswer {
    return qid === 0 ? this.admin(cmd, data) : this.io(cmd, data);
  }

  private admin(cmd: Uint32Array, data: Uint8Array): TinyAnswer {
    switch (cmd[0] & 0xff) {
      case NvmeAdminOpcode.identify:
        return this.identify(cmd[10] & 0xff, cmd[1]);
      case NvmeAdminOpcode.getLogPage:
        return this.log(cmd[10] & 0xff, ((cmd[10] >>> 16) + 1) * 4);
      case NvmeAdminOpcode.setFeatures:
        this.features.set(cmd[10] & 0xff, { dword11: cmd[11], data: data.slice() });
        return { ...OK, result: cmd[11] };
      case NvmeAdminOpcode.getFeatures:
        return { ...OK, result: this.features.get(cmd[10] & 0xff)?.dword11 ?? 0 };
      default:
        return refuse(NVME_SC_INVALID_OPCODE);
    }
  }

  private identify(cns: number, nsid: number): TinyAnswer {
    const ns = this.namespaces.find((candidate) => candidate.nsid === nsid);
    switch (cns) {
      case NVME_ID_CNS_CTRL:
        return give(this.identifyCtrl());
      case NVME_ID_CNS_NS_ACTIVE_LIST: {
        const ids = this.namespaces.map((each) => each.nsid).filter((id) => id > nsid);
        return give(NvmeNsList.encode({ nsid: ids.sort((a, b) => a - b).slice(0, 1024) }));
      }
      case NVME_ID_CNS_CS_CTRL:
      case NVME_ID_CNS_CS_NS:
        return give(new Uint8Array(4096));
      case NVME_ID_CNS_NS:
        return ns === undefined ? give(new Uint8Array(4096)) : give(identifyNs(ns));
      case NVME_ID_CNS_NS_DESC_LIST:
        return ns === undefined ? refuse(NVME_SC_INVALID_NS) : give(descriptors(ns));
      default:
        return refuse(NVME_SC_INVALID_FIELD);
    }
  }

  private identifyCtrl(): Uint8Array {
    return NvmeIdCtrl.encode({
      vid: 0x1b36,
      ssvid: 0x1af4,
      sn: 'LAB0001',
      mn: 'Tiny NVMe Ctrl',
      fr: '1.0',
      mdts: 7,
      ver: this.vs,
      oaes: 1 << 8,
      ctratt: 1 << 15,
      cntrltype: 1,
      acl: 3,
      aerl: 3,
      lpa: 7,
      wctemp: 343,
      cctemp: 373,
      nn: 256,
      oncs: 0x15d,
      vwc: 7,
      sgls: 1,
      subnqn: 'nqn.2019-08.org.qemu:LAB0001',
      ...this.options.identify,
    });
  }

  private log(lid: number, lengthBytes: number): TinyAnswer {
    if (lid === NVME_LOG_SMART)
      return give(NvmeSmartLog.encode({ temperature: [323 & 0xff, 323 >>> 8], availSpare: 100 }));
    if (lid === NVME_LOG_CMD_EFFECTS) return give(effectsLog(this.options));
    if (lid === NVME_LOG_ANA && this.anaState !== undefined) return give(this.anaLog(this.anaState, lengthBytes));
    if (lid === NVME_LOG_CHANGED_NS) return give(new Uint8Array(lengthBytes));
    return refuse(NVME_SC_INVALID_FIELD);
  }

  private anaLog(state: number, lengthBytes: number): Uint8Array {
    const nsids = this.namespaces.map(({ nsid }) => nsid).sort((a, b) => a - b);
    const log = new Uint8Array(lengthBytes);
    log.set(NvmeAnaRspHdr.encode({ chgcnt: 1, ngrps: 1 }));
    log.set(NvmeAnaGroupDesc.encode({ grpid: 1, nnsids: nsids.length, chgcnt: 1, state }), 16);
    const view = new DataView(log.buffer);
    nsids.forEach((nsid, i) => {
      view.setUint32(48 + i * 4, nsid, true);
    });
    return log;
  }

  private io(cmd: Uint32Array, data: Uint8Array): TinyAnswer {
    const ns = this.namespaces.find((candidate) => candidate.nsid === cmd[1]);
    if (ns === undefined) return refuse(NVME_SC_INVALID_NS);
    const opcode = cmd[0] & 0xff;
    if (opcode === NvmeNvmOpcode.flush) return OK;
    if (opcode === NvmeNvmOpcode.dsm) {
      this.discards.push(data.slice(0, (cmd[10] + 1) * 16));
      return OK;
    }
    return this.transfer(ns, opcode, cmd[10] + cmd[11] * LATER_CAPACITY_WORD, (cmd[12] & 0xffff) + 1, data);
  }

  private transfer(ns: TinyNamespace, opcode: number, slba: number, count: number, data: Uint8Array): TinyAnswer {
    if (slba + count > ns.blocks) return refuse(NVME_SC_LBA_RANGE);
    const size = 2 ** (ns.lbaShift ?? 9);
    const store = this.store(ns);
    const from = slba * size;
    if (opcode === NvmeNvmOpcode.read) return give(store.slice(from, from + count * size));
    if (opcode === NvmeNvmOpcode.write) store.set(data.subarray(0, count * size), from);
    else if (opcode === NvmeNvmOpcode.writeZeroes) store.fill(0, from, from + count * size);
    else return refuse(NVME_SC_INVALID_OPCODE);
    return OK;
  }

  private store(ns: TinyNamespace): Uint8Array {
    let store = this.blocks.get(ns.nsid);
    if (store === undefined) {
      store = new Uint8Array(ns.blocks * 2 ** (ns.lbaShift ?? 9));
      this.blocks.set(ns.nsid, store);
    }
    return store;
  }
}

const ADMIN_OPCODES = [
  NvmeAdminOpcode.getLogPage,
  NvmeAdminOpcode.identify,
  NvmeAdminOpcode.setFeatures,
  NvmeAdminOpcode.getFeatures,
];
const WRITING = NVME_CMD_EFFECTS_CSUPP | NVME_CMD_EFFECTS_LBCC;

function effectsLog({ adminEffects = {}, ioEffects = {} }: TinyControllerOptions): Uint8Array {
  const acs = new Array<number>(256).fill(0);
  const iocs = new Array<number>(256).fill(0);
  for (const opcode of ADMIN_OPCODES) acs[opcode] = NVME_CMD_EFFECTS_CSUPP;
  for (const opcode of [NvmeNvmOpcode.flush, NvmeNvmOpcode.read]) iocs[opcode] = NVME_CMD_EFFECTS_CSUPP;
  for (const opcode of [NvmeNvmOpcode.write, NvmeNvmOpcode.writeZeroes, NvmeNvmOpcode.dsm]) iocs[opcode] = WRITING;
  for (const [opcode, effects] of Object.entries(adminEffects)) acs[Number(opcode)] = effects;
  for (const [opcode, effects] of Object.entries(ioEffects)) iocs[Number(opcode)] = effects;
  return NvmeEffectsLog.encode({ acs, iocs });
}

function identifyNs({ blocks, lbaShift, identify }: TinyNamespace): Uint8Array {
  return NvmeIdNs.encode({
    nsze: blocks,
    ncap: blocks,
    nuse: blocks,
    dlfeat: 9,
    lbaf: [{ ms: 0, ds: lbaShift ?? 9, rp: 0 }],
    ...identify,
  });
}

function descriptors({ uuid }: TinyNamespace): Uint8Array {
  const csi = { nidt: NVME_NIDT_CSI, id: Uint8Array.of(NVME_CSI_NVM) };
  return encodeNsIdDescriptors(uuid === undefined ? [csi] : [{ nidt: NVME_NIDT_UUID, id: uuid }, csi]);
}
