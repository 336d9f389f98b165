import { describe, expect, test } from 'vitest';
import { asyncEventResult, nvmeAsyncEventTypeName } from './async-event.js';
import { NvmeCreateCq, NvmeCreateSq, NvmeGetLogPageCommand, NvmeIdentify } from './commands-admin.js';
import { NVME_CMD_SGL_METABUF, NvmeCommonCommand } from './commands-common.js';
import { NvmeDsmCmd, NvmeRwCommand } from './commands-io.js';
import { CqeStatus, cqePhase, cqeStatusCode, cqeStatusWord, NvmeCompletion } from './completion.js';
import { NVME_SGL_FMT_LAST_SEG_DESC, prpEntryCount, prpListPages, SglIdentifier } from './data-pointer.js';
import { NumberOfQueues, NvmeFeatHostBehavior } from './features.js';
import { NvmeErrorSlot, NvmeSmartLog } from './log-pages.js';
import { NvmeAdminOpcode, NvmeNvmOpcode, nvmeOpcodeName, qemuAdminOpcodeName, qemuIoOpcodeName } from './opcodes.js';
import { nvmeCheckSize } from './sizes.js';
import * as status from './status.js';
import {
  NVME_SC_COMPARE_FAILED,
  NVME_SC_DNR,
  NVME_SC_LBA_RANGE,
  NVME_SC_QID_INVALID,
  NVME_SCT,
  nvmeStatusCode,
} from './status.js';
import { nvmeStatusConstant, nvmeStatusTitle } from './status-names.js';

/** Command dwords as the specification numbers them. */
function dwords(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 4 }, (_, i) => view.getUint32(i * 4, true));
}

// @acceptance 7
test('every structure has the size the wire demands', () => {
  expect(() => nvmeCheckSize()).not.toThrow();
});

describe('submission entries', () => {
  test('a read puts its fields into the dwords of the specification', () => {
    const sqe = NvmeRwCommand.cursor(new Uint8Array(128)).at(64);
    sqe.opcode = NvmeNvmOpcode.read;
    sqe.flags = NVME_CMD_SGL_METABUF;
    sqe.commandId = 0x8001;
    sqe.nsid = 1;
    sqe.prp1 = 0x1_2345_6000;
    sqe.prp2 = 0x7000;
    sqe.slba = 2 ** 33 + 8;
    sqe.length = 7;
    sqe.control = 0x4000;
    sqe.reftag = 0xfeed;
    sqe.apptag = 1;
    sqe.appmask = 2;
    expect(dwords(sqe.bytes.subarray(64))).toEqual([
      0x80014002, 1, 0, 0, 0, 0, 0x23456000, 1, 0x7000, 0, 8, 2, 0x40000007, 0, 0xfeed, 0x00020001,
    ]);
  });

  test('the same bytes read as a command by dwords', () => {
    const bytes = NvmeIdentify.encode({
      opcode: NvmeAdminOpcode.identify,
      commandId: 24,
      cns: 6,
      cnssid: 5,
      csi: 2,
      cdw14: 9,
    });
    const common = NvmeCommonCommand.cursor(bytes);
    expect([common.opcode, common.commandId, common.cdw10, common.cdw11, common.cdw14]).toEqual([
      6, 24, 6, 0x02000005, 9,
    ]);
  });

  test('queue creation, log pages and deallocation have their words in place', () => {
    const cq = NvmeCreateCq.encode({ prp1: 0x1000, cqid: 1, qsize: 1023, cqFlags: 3, irqVector: 1 });
    expect(dwords(cq).slice(6, 12)).toEqual([0x1000, 0, 0, 0, 0x03ff0001, 0x00010003]);
    const sq = NvmeCreateSq.encode({ prp1: 0x2000, sqid: 1, qsize: 1023, sqFlags: 1, cqid: 1 });
    expect(dwords(sq).slice(6, 12)).toEqual([0x2000, 0, 0, 0, 0x03ff0001, 0x00010001]);
    const log = NvmeGetLogPageCommand.encode({ lid: 5, lsp: 0x80, numdl: 0x3ff, numdu: 1, lpo: 2 ** 32 + 4, csi: 2 });
    expect(dwords(log).slice(10, 15)).toEqual([0x03ff8005, 1, 4, 1, 0x02000000]);
    expect(dwords(NvmeDsmCmd.encode({ nr: 255, attributes: 4 })).slice(10, 12)).toEqual([255, 4]);
  });

  test('the data pointer is also one SGL descriptor', () => {
    const bytes = NvmeRwCommand.encode({
      sgl: { addr: 0x5000, length: 32, type: SglIdentifier.TYPE.put(NVME_SGL_FMT_LAST_SEG_DESC) },
    });
    expect(dwords(bytes).slice(6, 10)).toEqual([0x5000, 0, 32, 0x30000000]);
  });
});

describe('PRP arithmetic', () => {
  test.each([
    [0x1000, 4096, 1],
    [0x1e00, 512, 1],
    [0x1f00, 512, 2],
    [0x1000, 8192, 2],
    [0x1200, 8192, 3],
    [0x1000, 131072, 32],
  ])('%d with %d bytes needs %d entries', (address, lengthBytes, entries) => {
    expect(prpEntryCount(address, lengthBytes, 4096)).toBe(entries);
  });

  test('a list page is lost to the chain every 511 entries', () => {
    expect(prpListPages(510 * 4096, 4096)).toBe(1);
    expect(prpListPages(511 * 4096, 4096)).toBe(2);
    expect(prpListPages(4 * 1024 * 1024, 4096)).toBe(3);
  });
});

describe('completions and status', () => {
  test('a status travels with its phase', () => {
    const word = cqeStatusWord(NVME_SC_LBA_RANGE | NVME_SC_DNR, 1);
    expect(word).toBe(0x8101);
    expect([cqeStatusCode(word), cqePhase(word)]).toEqual([0x4080, 1]);
    expect([CqeStatus.SCT.get(word), CqeStatus.SC.get(word), CqeStatus.DNR.get(word)]).toEqual([0, 0x80, 1]);
  });

  test('a completion has its words in place', () => {
    const cqe = NvmeCompletion.encode({ result: 0x003f003f, sqHead: 2, sqId: 1, commandId: 0x1005, status: 1 });
    expect(dwords(cqe)).toEqual([0x003f003f, 0, 0x00010002, 0x00011005]);
  });

  test('a status has a type, a code, a constant and a title', () => {
    expect([NVME_SCT(NVME_SC_QID_INVALID), nvmeStatusCode(NVME_SC_QID_INVALID)]).toEqual([1, 1]);
    expect(nvmeStatusConstant(NVME_SC_LBA_RANGE | NVME_SC_DNR)).toBe('NVME_SC_LBA_RANGE');
    expect(nvmeStatusTitle(0x4080)).toBe('LBA Out of Range');
    expect(nvmeStatusTitle(NVME_SC_COMPARE_FAILED)).toBe('Compare Failure');
    expect([nvmeStatusConstant(0x7c1), nvmeStatusTitle(0x7c1)]).toEqual(['0x7c1', 'Unknown']);
  });

  test('every status constant has a name, and it is its own', () => {
    const modifiers = ['NVME_SC_MASK', 'NVME_SC_CRD', 'NVME_SC_MORE', 'NVME_SC_DNR', 'NVME_SC_INVALID_IO_CMD_SET'];
    const constants = Object.entries(status).filter(
      ([name]) => name.startsWith('NVME_SC_') && !modifiers.includes(name),
    );
    expect(constants.length).toBeGreaterThan(100);
    for (const [name, value] of constants) expect(nvmeStatusConstant(value as number)).toBe(name);
  });
});

describe('names in traces', () => {
  test('are those of Linux, by queue', () => {
    expect(nvmeOpcodeName(0, 0x06)).toBe('nvme_admin_identify');
    expect(nvmeOpcodeName(1, 0x02)).toBe('nvme_cmd_read');
    expect(nvmeOpcodeName(0, 0xc1)).toBe('0xc1');
  });

  test('are those of QEMU for its own events', () => {
    expect(qemuAdminOpcodeName(NvmeAdminOpcode.asyncEvent)).toBe('NVME_ADM_CMD_ASYNC_EV_REQ');
    expect(qemuAdminOpcodeName(NvmeAdminOpcode.dbbuf)).toBe('NVME_ADM_CMD_DBBUF_CONFIG');
    expect(qemuIoOpcodeName(NvmeNvmOpcode.write)).toBe('NVME_NVM_CMD_WRITE');
    expect(qemuIoOpcodeName(0xff)).toBe('NVME_NVM_CMD_UNKNOWN');
  });
});

test('events, features and logs have their fields in place', () => {
  expect(asyncEventResult(0, 1, 1)).toBe(0x10100);
  expect(nvmeAsyncEventTypeName(0x10100)).toBe('NVME_AER_ERROR');
  expect(NumberOfQueues.NCQ.put(63) | NumberOfQueues.NSQ.put(63)).toBe(0x003f003f);
  expect(NvmeFeatHostBehavior.encode({ lbafee: 1 })[2]).toBe(1);
  expect(NvmeSmartLog.offsets).toMatchObject({
    dataUnitsRead: 32,
    numErrLogEntries: 176,
    warningTempTime: 192,
    tempSensor: 200,
    thmTemp2TotalTime: 228,
  });
  expect(NvmeErrorSlot.offsets).toMatchObject({ statusField: 12, lba: 16, nsid: 24, cs: 32 });
});
