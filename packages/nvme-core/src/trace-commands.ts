/**
 * The text of a command's dwords 10 to 15 in trace events.
 * Kernel counterpart: drivers/nvme/host/trace.c. Allocates: called only while events are recorded.
 */
import { NvmeAdminOpcode, NvmeNvmOpcode, nvme_fabrics_command, nvmeOpcodeName } from '@nvme-stack/nvme-protocol';
import { hex } from './log.js';

/** A command's 16 words. */
type Words = Uint32Array;
type CommandText = (w: Words) => string;

const CDW10_BYTE = 40;
const PRINTED_BYTES = 24;
const BILLION = 1e9;
/** 2^32 mod 10^9, and the rest of it. */
const WORD_MOD_BILLION = 294967296;
const WORD_BILLIONS = 4;

/** `%llu` of two words, exact: the low nine digits and what is above them are computed apart. */
export function decimal64(lo: number, hi: number): string {
  // hi < 2^32, so hi × 294967296 may exceed 2^53: its halves are multiplied one by one.
  const upper = Math.floor(hi / 65536);
  const highPart = upper * WORD_MOD_BILLION;
  const lowPart = (highPart % BILLION) * 65536 + (hi % 65536) * WORD_MOD_BILLION + lo;
  const billions = hi * WORD_BILLIONS + Math.floor(highPart / BILLION) * 65536 + Math.floor(lowPart / BILLION);
  const rest = String(lowPart % BILLION);
  return billions === 0 ? rest : `${billions}${rest.padStart(9, '0')}`;
}

/** `%llx` of two words. */
export function hex64(lo: number, hi: number): string {
  return hi === 0 ? hex(lo) : hex(hi) + hex(lo, 8);
}

/** Byte `n` of dwords 10 to 15. */
function byte(w: Words, n: number): number {
  return (w[10 + (n >>> 2)] >>> (8 * (n & 3))) & 0xff;
}

const readWrite: CommandText = (w) =>
  `slba=${decimal64(w[10], w[11])}, len=${w[12] & 0xffff}, ctrl=0x${hex(w[12] >>> 16)}, dsmgmt=${w[13]}, reftag=${w[14]}`;

const ADMIN_TEXT: { readonly [opcode: number]: CommandText | undefined } = {
  [NvmeAdminOpcode.deleteSq]: (w) => `sqid=${w[10] & 0xffff}`,
  [NvmeAdminOpcode.createSq]: (w) =>
    `sqid=${w[10] & 0xffff}, qsize=${w[10] >>> 16}, sq_flags=0x${hex(w[11] & 0xffff)}, cqid=${w[11] >>> 16}`,
  [NvmeAdminOpcode.deleteCq]: (w) => `cqid=${w[10] & 0xffff}`,
  [NvmeAdminOpcode.createCq]: (w) =>
    `cqid=${w[10] & 0xffff}, qsize=${w[10] >>> 16}, cq_flags=0x${hex(w[11] & 0xffff)}, irq_vector=${w[11] >>> 16}`,
  [NvmeAdminOpcode.identify]: (w) => `cns=${w[10] & 0xff}, ctrlid=${w[10] >>> 16}`,
  // Linux prints bit 27 as sv, although SV is bit 31.
  [NvmeAdminOpcode.setFeatures]: (w) =>
    `fid=0x${hex(w[10] & 0xff)}, sv=0x${hex(byte(w, 3) & 8)}, cdw11=0x${hex(w[11])}`,
  [NvmeAdminOpcode.getFeatures]: (w) =>
    `fid=0x${hex(w[10] & 0xff)}, sel=0x${hex(byte(w, 1) & 7)}, cdw11=0x${hex(w[11])}`,
  [NvmeAdminOpcode.formatNvm]: (w) =>
    `lbaf=${w[10] & 0xf}, mset=${(w[10] >>> 4) & 1}, pi=${(w[10] >>> 5) & 7}, pil=${(w[10] >>> 8) & 1}, ` +
    `ses=${(w[10] >>> 9) & 7}`,
  [NvmeAdminOpcode.getLbaStatus]: (w) =>
    `slba=0x${hex64(w[10], w[11])}, mndw=0x${hex(w[12])}, rl=0x${hex(w[13] & 0xffff)}, atype=${w[13] >>> 24}`,
};

const IO_TEXT: { readonly [opcode: number]: CommandText | undefined } = {
  [NvmeNvmOpcode.read]: readWrite,
  [NvmeNvmOpcode.write]: readWrite,
  [NvmeNvmOpcode.writeZeroes]: readWrite,
  [NvmeNvmOpcode.zoneAppend]: readWrite,
  [NvmeNvmOpcode.dsm]: (w) => `nr=${w[10]}, attributes=${w[11]}`,
  [NvmeNvmOpcode.zoneMgmtSend]: (w) =>
    `slba=${decimal64(w[10], w[11])}, zsa=${w[13] & 0xff}, all=${(w[13] >>> 8) & 0xff}`,
  [NvmeNvmOpcode.zoneMgmtRecv]: (w) =>
    `slba=${decimal64(w[10], w[11])}, numd=${w[12]}, zra=${w[13] & 0xff}, zrasf=${(w[13] >>> 8) & 0xff}, ` +
    `pr=${(w[13] >>> 16) & 0xff}`,
};

const authText =
  (length: string): CommandText =>
  (w) =>
    `spsp0=${hex(byte(w, 1), 2)}, spsp1=${hex(byte(w, 2), 2)}, secp=${hex(byte(w, 3), 2)}, ${length}=${w[11]}`;

/** Fabrics commands by their type: only a user sends them to a controller on PCI. */
const FABRICS: { readonly [type: number]: readonly [name: string, text: CommandText] | undefined } = {
  0: [
    'nvme_fabrics_type_property_set',
    (w) => `attrib=${w[10] & 0xff}, ofst=0x${hex(w[11])}, value=0x${hex64(w[12], w[13])}`,
  ],
  1: [
    'nvme_fabrics_type_connect',
    (w) =>
      `recfmt=${w[10] & 0xffff}, qid=${w[10] >>> 16}, sqsize=${w[11] & 0xffff}, cattr=${byte(w, 6)}, kato=${w[12]}`,
  ],
  4: ['nvme_fabrics_type_property_get', (w) => `attrib=${w[10] & 0xff}, ofst=0x${hex(w[11])}`],
  5: ['nvme_fabrics_type_auth_send', authText('tl')],
  6: ['nvme_fabrics_type_auth_receive', authText('al')],
};

/** `%*ph`. */
function bytesText(w: Words): string {
  const bytes = new Uint8Array(w.buffer, w.byteOffset + CDW10_BYTE, PRINTED_BYTES);
  return Array.from(bytes, (value) => hex(value, 2)).join(' ');
}

/** Name and arguments: `nvme_cmd_read slba=0, len=7, …`. @kernel drivers/nvme/host/trace.h parse_nvme_cmd, show_opcode_name */
export function commandText(qid: number, w: Words): string {
  const opcode = w[0] & 0xff;
  if (opcode === nvme_fabrics_command) {
    const type = w[1] & 0xff;
    const [name, text] = FABRICS[type] ?? [`0x${hex(type)}`, () => `specific=${bytesText(w)}`];
    return `${name} ${text(w)}`;
  }
  const text = (qid === 0 ? ADMIN_TEXT : IO_TEXT)[opcode];
  return `${nvmeOpcodeName(qid, opcode)} ${text === undefined ? `cdw10=${bytesText(w)}` : text(w)}`;
}
