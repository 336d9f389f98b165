// The identify structures, built from the description and the namespaces.
// Kernel counterpart: include/linux/nvme.h struct nvme_id_ctrl, nvme_id_ns. Spec: [NVMe] 2.0 §5.17.2, [NVM] 1.0 §4.1.5.
import * as nvme from '@nvme-stack/nvme-protocol';
import type { ControllerState } from './controller-state.js';
import { COPY_MCL, COPY_MSRC, COPY_MSSRL } from './copy.js';
import { MAX_NAMESPACES } from './description.js';
import { TEMPERATURE_CRITICAL, TEMPERATURE_WARNING } from './features.js';
import { ERROR_LOG_ENTRIES } from './health.js';
import { LBA_FORMATS } from './lba-formats.js';
import type { Namespace } from './namespace.js';

/** Abort Command Limit, 0-based. */
const ABORT_LIMIT = 3;
/** Firmware updates: one slot, the first read-only. */
const FIRMWARE_ONE_SLOT_READ_ONLY = 0x3;
const RECOMMENDED_BURST = 6;
/** Volatile write cache present, and flush accepts all namespaces. */
const VWC_PRESENT_FLUSH_ALL = 0x7;
/** Copy descriptor formats 0 and 1. */
const COPY_FORMATS = 0x3;

/** Identify Controller, CNS 01h. */
export function identifyController(controller: ControllerState): Uint8Array {
  const { description } = controller;
  const adminCommands =
    nvme.NVME_CTRL_OACS_FORMAT |
    nvme.NVME_CTRL_OACS_NS_MNGT_SUPP |
    (description.streams === null ? 0 : nvme.NVME_CTRL_OACS_DIRECTIVES) |
    (description.dbbuf ? nvme.NVME_CTRL_OACS_DBBUF_SUPP : 0);
  const nvmCommands =
    nvme.NVME_CTRL_ONCS_COMPARE |
    nvme.NVME_CTRL_ONCS_DSM |
    nvme.NVME_CTRL_ONCS_WRITE_ZEROES |
    nvme.NVME_CTRL_ONCS_SAVE_FEATURES |
    nvme.NVME_CTRL_ONCS_TIMESTAMP |
    nvme.NVME_CTRL_ONCS_COPY;
  return nvme.NvmeIdCtrl.encode({
    vid: description.pci.vendorId,
    ssvid: description.pci.subsystemVendorId,
    sn: description.serial,
    mn: description.model,
    fr: description.firmware,
    rab: RECOMMENDED_BURST,
    ieee: Uint8Array.of(0x00, 0x54, 0x52),
    cmic: controller.isShared ? nvme.NVME_CTRL_CMIC_MULTI_CTRL : 0,
    mdts: description.mdts,
    cntlid: controller.controllerId,
    // VER came with 1.2.
    ver: description.version < '1.2' ? 0 : controller.registers.version,
    oaes: nvme.NVME_CTRL_OAES_NS_ATTR,
    ctratt: description.version === '1.4' ? nvme.NVME_CTRL_ATTR_ELBAS : 0,
    crdt1: description.retryDelays[0],
    crdt2: description.retryDelays[1],
    crdt3: description.retryDelays[2],
    cntrltype: description.maxIoQueuePairs === 0 ? nvme.NVME_CTRL_ADMIN : nvme.NVME_CTRL_IO,
    oacs: adminCommands,
    acl: ABORT_LIMIT,
    aerl: description.aerLimit,
    frmw: FIRMWARE_ONE_SLOT_READ_ONLY,
    lpa: nvme.NVME_CTRL_LPA_SMART_PER_NS | nvme.NVME_CTRL_LPA_CMD_EFFECTS_LOG | nvme.NVME_CTRL_LPA_EXTENDED_DATA,
    elpe: ERROR_LOG_ENTRIES - 1,
    wctemp: TEMPERATURE_WARNING,
    cctemp: TEMPERATURE_CRITICAL,
    sqes: description.sqEntryBytes === 128 ? 0x77 : 0x66,
    cqes: 0x44,
    nn: MAX_NAMESPACES,
    oncs: nvmCommands,
    vwc: description.volatileWriteCache ? VWC_PRESENT_FLUSH_ALL : VWC_PRESENT_FLUSH_ALL & ~1,
    ocfs: COPY_FORMATS,
    sgls: description.sgl ? nvme.NVME_CTRL_SGLS_BYTE_ALIGNED : 0,
    subnqn: description.subsystemNqn,
    npss: description.powerStates.length - 1,
    apsta: description.apst ? 1 : 0,
    hmpre: controller.hmb?.preferredPages ?? 0,
    hmmin: controller.hmb?.minimumPages ?? 0,
    hmminds: controller.hmb?.minimumPiecePages ?? 0,
    hmmaxd: description.hmb?.maximumPieces ?? 0,
    psd: description.powerStates.map(({ maxPower, entryLatencyUs, exitLatencyUs, nonOperational }) => ({
      maxPower,
      flags: nonOperational ? nvme.NVME_PS_FLAGS_NON_OP_STATE : 0,
      entryLat: entryLatencyUs,
      exitLat: exitLatencyUs,
    })),
  });
}

/** Identify Controller for the NVM command set, CNS 06h: verify and discard limits. */
export function identifyNvmController(): Uint8Array {
  return nvme.NvmeIdCtrlNvm.encode({ vsl: 7, dmrsl: 0x3fffff });
}

/** Identify Namespace, CNS 00h and 11h. */
export function identifyNamespace(namespace: Namespace, isShared: boolean): Uint8Array {
  return nvme.NvmeIdNs.encode({
    nsze: namespace.blocks,
    ncap: namespace.blocks,
    nuse: namespace.blocks,
    nsfeat: 0x14,
    nlbaf: LBA_FORMATS.length - 1,
    flbas: namespace.flbas,
    mc: 0x3,
    dpc: 0x1f,
    dps: namespace.dps,
    nmic: isShared ? nvme.NVME_NS_NMIC_SHARED : 0,
    dlfeat: 0x1,
    npdg: 4096 / namespace.blockSize - 1,
    npda: 4096 / namespace.blockSize - 1,
    mssrl: COPY_MSSRL,
    mcl: COPY_MCL,
    msrc: COPY_MSRC,
    nsattr: namespace.readOnly ? nvme.NVME_NS_ATTR_RO : 0,
    nguid: fromHex(namespace.description.nguid, 16),
    eui64: fromHex(namespace.description.eui64, 8),
    lbaf: LBA_FORMATS.map((format) => ({ ms: format.metadataBytes, ds: format.dataShift, rp: 0 })),
  });
}

/** Namespace Identification Descriptors, CNS 03h. */
export function namespaceDescriptors(namespace: Namespace): Uint8Array {
  const { uuid, nguid, eui64 } = namespace.description;
  const list: { nidt: number; id: Uint8Array }[] = [];
  if (uuid !== '') list.push({ nidt: nvme.NVME_NIDT_UUID, id: fromHex(uuid, 16) });
  if (nguid !== '') list.push({ nidt: nvme.NVME_NIDT_NGUID, id: fromHex(nguid, 16) });
  if (eui64 !== '') list.push({ nidt: nvme.NVME_NIDT_EUI64, id: fromHex(eui64, 8) });
  list.push({ nidt: nvme.NVME_NIDT_CSI, id: Uint8Array.of(nvme.NVME_CSI_NVM) });
  return nvme.encodeNsIdDescriptors(list);
}

/** Namespace lists, CNS 02h and 10h: identifiers above nsid, ascending. */
export function namespaceList(controller: ControllerState, nsid: number, activeOnly: boolean): Uint8Array {
  const list: number[] = [];
  for (const namespace of controller.namespaces) {
    if (namespace !== null && namespace.nsid > nsid && (namespace.isActive || !activeOnly)) list.push(namespace.nsid);
  }
  return nvme.NvmeNsList.encode({ nsid: list });
}

/** I/O Command Set combinations, CNS 1Ch: the NVM command set alone. */
export function commandSetList(): Uint8Array {
  const bytes = new Uint8Array(4096);
  bytes[0] = 1 << nvme.NVME_CSI_NVM;
  return bytes;
}

function fromHex(digits: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < digits.length / 2; i++) bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
