import { describe, expect, test } from 'vitest';
import { NvmeIdCtrl } from './identify-controller.js';
import {
  decodeNsIdDescriptors,
  encodeNsIdDescriptors,
  NVME_NIDT_CSI,
  NVME_NIDT_UUID,
  NvmeCtrlList,
  NvmeNsList,
} from './identify-lists.js';
import { NvmeIdNs, nvmeLbafIndex } from './identify-namespace.js';
import { bytesFromRows, ID_CTRL_ROWS, ID_CTRL_VALUES, ID_NS_LBAF, ID_NS_ROWS, ID_NS_VALUES } from './testing.js';

describe("a captured Identify Controller of QEMU's device", () => {
  const bytes = bytesFromRows(4096, ID_CTRL_ROWS);

  test('decodes to what nvme-cli printed', () => {
    expect(NvmeIdCtrl.decode(bytes)).toMatchObject(ID_CTRL_VALUES);
  });

  test('has its IEEE id, its first power state and its bit fields where nvme-cli found them', () => {
    const id = NvmeIdCtrl.decode(bytes);
    expect([...id.ieee].reverse()).toEqual([0x52, 0x54, 0x00]);
    expect(id.psd[0]).toMatchObject({ maxPower: 2500, flags: 0, entryLat: 16, exitLat: 4 });
    expect(id.psd[1]).toMatchObject({ maxPower: 0 });
    expect(NvmeIdCtrl.describe(bytes)).toMatch(/^sqes +bytes 512 +0x66\n +MAX +bits 7:4 +0x6\n +MIN +bits 3:0 +0x6$/m);
  });

  test('is encoded again to the same bytes', () => {
    expect(NvmeIdCtrl.encode(NvmeIdCtrl.decode(bytes))).toEqual(bytes);
  });
});

describe("a captured Identify Namespace of QEMU's device", () => {
  const bytes = bytesFromRows(4096, ID_NS_ROWS);

  test('decodes to what nvme-cli printed', () => {
    const id = NvmeIdNs.decode(bytes);
    expect(id).toMatchObject(ID_NS_VALUES);
    expect(id.lbaf.slice(0, ID_NS_LBAF.length).map((format) => [format.ms, format.ds])).toEqual(ID_NS_LBAF);
    expect(id.lbaf[ID_NS_LBAF.length]).toEqual({ ms: 0, ds: 0, rp: 0 });
  });

  test('is read by a cursor, format by format', () => {
    const id = NvmeIdNs.cursor(bytes);
    expect(id.nsze).toBe(2097152);
    expect(id.lbaf.get(nvmeLbafIndex(id.flbas)).ds).toBe(9);
    expect(id.lbaf.get(7).ms).toBe(64);
  });

  test('is encoded again to the same bytes', () => {
    expect(NvmeIdNs.encode(NvmeIdNs.decode(bytes))).toEqual(bytes);
  });
});

test('the LBA format index joins both parts of FLBAS', () => {
  expect([0x00, 0x0f, 0x20, 0x35, 0x6f].map(nvmeLbafIndex)).toEqual([0, 15, 16, 21, 63]);
});

describe('namespace identification descriptors', () => {
  const uuid = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
  const list = [
    { nidt: NVME_NIDT_UUID, id: uuid },
    { nidt: NVME_NIDT_CSI, id: Uint8Array.of(0) },
  ];

  test('lie one after the other: the second at byte 20', () => {
    const bytes = encodeNsIdDescriptors(list);
    expect([...bytes.subarray(0, 4)]).toEqual([3, 16, 0, 0]);
    expect([...bytes.subarray(20, 25)]).toEqual([4, 1, 0, 0, 0]);
    expect(decodeNsIdDescriptors(bytes)).toEqual(list);
  });

  test('a length of zero ends the list, and one that reaches past the end is not read', () => {
    const bytes = encodeNsIdDescriptors(list);
    bytes[21] = 0;
    expect(decodeNsIdDescriptors(bytes)).toEqual([list[0]]);
    bytes[1] = 255;
    expect(decodeNsIdDescriptors(bytes.subarray(0, 64))).toEqual([]);
  });

  test('that do not fit are refused', () => {
    const tooMany = Array.from({ length: 300 }, () => list[0]!);
    expect(() => encodeNsIdDescriptors(tooMany)).toThrow(/more than 4096 bytes/);
  });
});

test('namespace and controller lists hold 1024 and 2047 entries', () => {
  const namespaces = NvmeNsList.encode({ nsid: [1, 2, 0xfffffffe] });
  expect([...namespaces.subarray(0, 12)]).toEqual([1, 0, 0, 0, 2, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff]);
  const controllers = NvmeCtrlList.cursor(new Uint8Array(4096));
  controllers.num = 2047;
  controllers.cntlid.set(2046, 0xbeef);
  expect([...controllers.bytes.subarray(4094)]).toEqual([0xef, 0xbe]);
});
