import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commandText, decimal64, hex64 } from './trace-commands.js';

/** A command by opcode, nsid and its dwords from 10 on. */
function words(opcode: number, nsid: number, ...cdw10: number[]): Uint32Array {
  const command = new Uint32Array(16);
  command.set([opcode, nsid]);
  command.set(cdw10, 10);
  return command;
}

describe('an admin command’s text', () => {
  it.each<[number, readonly number[], string]>([
    [0x00, [0x00010002], 'nvme_admin_delete_sq sqid=2'],
    [0x01, [0x03ff0001, 0x00010001], 'nvme_admin_create_sq sqid=1, qsize=1023, sq_flags=0x1, cqid=1'],
    [0x02, [0x007f0002], `nvme_admin_get_log_page cdw10=02 00 7f 00${' 00'.repeat(20)}`],
    [0x04, [3], 'nvme_admin_delete_cq cqid=3'],
    [0x05, [0x03ff0001, 0x00020003], 'nvme_admin_create_cq cqid=1, qsize=1023, cq_flags=0x3, irq_vector=2'],
    [0x06, [0x00050002], 'nvme_admin_identify cns=2, ctrlid=5'],
    [0x08, [0x00070001], `nvme_admin_abort_cmd cdw10=01 00 07 00${' 00'.repeat(20)}`],
    [0x09, [0x8000000b, 0x100], 'nvme_admin_set_features fid=0xb, sv=0x0, cdw11=0x100'],
    [0x09, [0x0800000b, 0x100], 'nvme_admin_set_features fid=0xb, sv=0x8, cdw11=0x100'],
    [0x0a, [0x00000307, 5], 'nvme_admin_get_features fid=0x7, sel=0x3, cdw11=0x5'],
    [0x0c, [], `nvme_admin_async_event cdw10=00${' 00'.repeat(23)}`],
    [0x80, [0x00000b74], 'nvme_admin_format_nvm lbaf=4, mset=1, pi=3, pil=1, ses=5'],
    [0x86, [0x10, 1, 0x20, 0x11000030], 'nvme_admin_get_lba_status slba=0x100000010, mndw=0x20, rl=0x30, atype=17'],
    [0xc1, [], `0xc1 cdw10=00${' 00'.repeat(23)}`],
  ])('0x%x', (opcode, cdw10, text) => {
    expect(commandText(0, words(opcode, 0, ...cdw10))).toBe(text);
  });
});

describe('an I/O command’s text', () => {
  const RW = 'slba=4294967304, len=7, ctrl=0x8000, dsmgmt=1, reftag=4294967295';
  it.each<[number, readonly number[], string]>([
    [0x00, [], `nvme_cmd_flush cdw10=00${' 00'.repeat(23)}`],
    [0x01, [8, 1, 0x80000007, 1, 0xffffffff], `nvme_cmd_write ${RW}`],
    [0x02, [8, 1, 0x80000007, 1, 0xffffffff], `nvme_cmd_read ${RW}`],
    [0x08, [8, 1, 0x80000007, 1, 0xffffffff], `nvme_cmd_write_zeroes ${RW}`],
    [0x7d, [8, 1, 0x80000007, 1, 0xffffffff], `nvme_cmd_zone_append ${RW}`],
    [0x05, [1], `nvme_cmd_compare cdw10=01${' 00'.repeat(23)}`],
    [0x09, [3, 4], 'nvme_cmd_dsm nr=3, attributes=4'],
    [0x79, [9, 0, 0, 0x0104], 'nvme_cmd_zone_mgmt_send slba=9, zsa=4, all=1'],
    [0x7a, [9, 0, 7, 0x010200], 'nvme_cmd_zone_mgmt_recv slba=9, numd=7, zra=0, zrasf=2, pr=1'],
    [0x0d, [1], `nvme_cmd_resv_register cdw10=01${' 00'.repeat(23)}`],
    [0x83, [], `0x83 cdw10=00${' 00'.repeat(23)}`],
  ])('0x%x', (opcode, cdw10, text) => {
    expect(commandText(1, words(opcode, 1, ...cdw10))).toBe(text);
  });
});

describe('a fabrics command’s text', () => {
  it.each<[number, readonly number[], string]>([
    [0, [0, 0x14, 0x460001, 1], 'nvme_fabrics_type_property_set attrib=0, ofst=0x14, value=0x100460001'],
    [1, [0x00020000, 0x0001001f, 120000], 'nvme_fabrics_type_connect recfmt=0, qid=2, sqsize=31, cattr=1, kato=120000'],
    [4, [1, 0], 'nvme_fabrics_type_property_get attrib=1, ofst=0x0'],
    [5, [0xe9010200, 64], 'nvme_fabrics_type_auth_send spsp0=02, spsp1=01, secp=e9, tl=64'],
    [6, [0xe9010200, 64], 'nvme_fabrics_type_auth_receive spsp0=02, spsp1=01, secp=e9, al=64'],
    [9, [1], `0x9 specific=01${' 00'.repeat(23)}`],
  ])('of type %i', (type, cdw10, text) => {
    expect(commandText(0, words(0x7f, type, ...cdw10))).toBe(text);
  });
});

describe('64-bit numbers', () => {
  it('are printed exactly', () => {
    const word = fc.oneof(
      fc.constantFrom(0, 1, 0xffffffff, 999999999, 0x80000000),
      fc.integer({ min: 0, max: 0xffffffff }),
    );
    fc.assert(
      fc.property(word, word, (lo, hi) => {
        const exact = (BigInt(hi) << 32n) | BigInt(lo);
        return decimal64(lo, hi) === exact.toString() && hex64(lo, hi) === exact.toString(16);
      }),
    );
  });
});
