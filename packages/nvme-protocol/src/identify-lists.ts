/**
 * What Identify can return (CNS, CSI), and the lists among it: namespace ids, descriptors, controllers.
 * Kernel counterpart: include/linux/nvme.h NVME_ID_CNS_*, struct nvme_ns_id_desc. [NVMe] 5.1.13.
 */
import { array, reserved, struct, u8, u16, u32 } from '@nvme-stack/wire';

export const NVME_ID_CNS_NS = 0x00;
export const NVME_ID_CNS_CTRL = 0x01;
export const NVME_ID_CNS_NS_ACTIVE_LIST = 0x02;
export const NVME_ID_CNS_NS_DESC_LIST = 0x03;
export const NVME_ID_CNS_NVMSET_LIST = 0x04;
export const NVME_ID_CNS_CS_NS = 0x05;
export const NVME_ID_CNS_CS_CTRL = 0x06;
export const NVME_ID_CNS_NS_ACTIVE_LIST_CS = 0x07;
export const NVME_ID_CNS_NS_CS_INDEP = 0x08;
export const NVME_ID_CNS_NS_PRESENT_LIST = 0x10;
export const NVME_ID_CNS_NS_PRESENT = 0x11;
export const NVME_ID_CNS_CTRL_NS_LIST = 0x12;
export const NVME_ID_CNS_CTRL_LIST = 0x13;
export const NVME_ID_CNS_PRIMARY_CTRL_CAP = 0x14;
export const NVME_ID_CNS_SCNDRY_CTRL_LIST = 0x15;
export const NVME_ID_CNS_NS_GRANULARITY = 0x16;
export const NVME_ID_CNS_UUID_LIST = 0x17;
export const NVME_ID_CNS_ENDGRP_LIST = 0x19;
export const NVME_ID_CNS_CS_NS_PRESENT_LIST = 0x1a;
export const NVME_ID_CNS_CS_NS_PRESENT = 0x1b;
export const NVME_ID_CNS_CSI_LIST = 0x1c;

/** Command set identifiers. [NVMe] 5.1.13. */
export const NVME_CSI_NVM = 0;
export const NVME_CSI_KV = 1;
export const NVME_CSI_ZNS = 2;

/** A list of namespace ids, ascending, ended by 0 (CNS 02h, 07h, 10h; also the changed namespace list). */
export const NvmeNsList = struct('nvme_ns_list', 4096, { nsid: array(u32, 1024) });

/** A list of controller ids (CNS 12h, 13h). [NVMe] 4.6.1. */
export const NvmeCtrlList = struct('nvme_ctrl_list', 4096, { num: u16, cntlid: array(u16, 2047) });

/** Header of one namespace identification descriptor; `nidl` bytes of identifier follow. @kernel include/linux/nvme.h nvme_ns_id_desc */
export const NvmeNsIdDesc = struct('nvme_ns_id_desc', 4, { nidt: u8, nidl: u8, rsvd2: reserved(2) });

export const NVME_NIDT_EUI64 = 0x01;
export const NVME_NIDT_NGUID = 0x02;
export const NVME_NIDT_UUID = 0x03;
export const NVME_NIDT_CSI = 0x04;
export const NVME_NIDT_EUI64_LEN = 8;
export const NVME_NIDT_NGUID_LEN = 16;
export const NVME_NIDT_UUID_LEN = 16;
export const NVME_NIDT_CSI_LEN = 1;

/** One entry of the namespace identification descriptor list. */
export interface NsIdDescriptor {
  readonly nidt: number;
  /** The identifier, a copy. */
  readonly id: Uint8Array;
}

/**
 * The descriptors of a list (CNS 03h). Stops at a zero length, or at a descriptor that would reach past the end, so a
 * malformed list never loops or reads outside `bytes`. Allocates; control path.
 */
export function decodeNsIdDescriptors(bytes: Uint8Array): NsIdDescriptor[] {
  const list: NsIdDescriptor[] = [];
  let start = 0;
  while (start + NvmeNsIdDesc.sizeBytes <= bytes.length) {
    const { nidt, nidl } = NvmeNsIdDesc.decode(bytes, start);
    const end = start + NvmeNsIdDesc.sizeBytes + nidl;
    if (nidl === 0 || end > bytes.length) break;
    list.push({ nidt, id: bytes.slice(end - nidl, end) });
    start = end;
  }
  return list;
}

/** A 4096-byte list (CNS 03h). Throws a `RangeError` if the descriptors do not fit. */
export function encodeNsIdDescriptors(list: readonly NsIdDescriptor[]): Uint8Array {
  const bytes = new Uint8Array(4096);
  let start = 0;
  for (const { nidt, id } of list) {
    const end = start + NvmeNsIdDesc.sizeBytes + id.length;
    if (end > bytes.length) throw new RangeError(`namespace descriptors need more than ${bytes.length} bytes`);
    NvmeNsIdDesc.encodeInto(bytes, start, { nidt, nidl: id.length });
    bytes.set(id, start + NvmeNsIdDesc.sizeBytes);
    start = end;
  }
  return bytes;
}
