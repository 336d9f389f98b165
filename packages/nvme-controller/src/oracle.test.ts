// Identify, logs, features and opcodes against what QEMU 7.2 answered.
import { bytesFromRows, ID_CTRL_ROWS, ID_NS_ROWS } from '@nvme-stack/nvme-protocol/testing';
import { describe, expect, it } from 'vitest';
import * as oracle from './fixtures/qemu-7.2-answers.js';
import { createNvmeController, type NvmeControllerDescription } from './index.js';
import { RegisterDriver } from './testing.js';

const DNR = 0x4000;
const DATA = 0x40000;

function started(options: Partial<NvmeControllerDescription> = {}): { driver: RegisterDriver } {
  const fn = createNvmeController({ namespaces: [{ sizeBytes: 1 << 20 }], ...options });
  const driver = new RegisterDriver(fn, { ramBytes: 1 << 21 });
  driver.enable();
  return { driver };
}

/** A status as the oracle writes it: `1/02 DNR`. */
function text(status: number): string {
  const code = (status & 0xff).toString(16).padStart(2, '0');
  return `${(status >> 8) & 7}/${code}${(status & DNR) !== 0 ? ' DNR' : ''}`;
}

describe('identify', () => {
  it('gives the controller structure of QEMU 7.2 byte for byte', () => {
    const { driver } = started({ serial: 'LAB0001' });
    expect(driver.admin({ opcode: 6, cdw10: 1, prp1: DATA }).status).toBe(0);
    expect([...driver.host.ram.subarray(DATA, DATA + 4096)]).toEqual([...bytesFromRows(4096, ID_CTRL_ROWS)]);
  });
  it('gives the namespace structure of QEMU 7.2 byte for byte', () => {
    const { driver } = started({ namespaces: [{ sizeBytes: 1 << 30 }] });
    driver.admin({ opcode: 6, nsid: 1, cdw10: 0, prp1: DATA });
    expect([...driver.host.ram.subarray(DATA, DATA + 4096)]).toEqual([...bytesFromRows(4096, ID_NS_ROWS)]);
  });
  it('answers every CNS and namespace identifier as QEMU 7.2 does', () => {
    const { driver } = started();
    const found: Record<string, Record<string, string>> = {};
    for (let number = 0; number <= 0x2f; number++) {
      const cns = `0x${number.toString(16)}`;
      const row: Record<string, string> = {};
      for (const nsid of ['0x0', '0x1', '0x2', '0xffffffff']) {
        driver.host.ram.fill(0xee, DATA, DATA + 4096);
        const { status } = driver.admin({ opcode: 6, nsid: Number(nsid), cdw10: Number(cns), prp1: DATA });
        const isZero = status === 0 && driver.host.ram.subarray(DATA, DATA + 4096).every((byte) => byte === 0);
        row[nsid] = text(status) + (isZero ? ' (all zero)' : '');
      }
      if (oracle.IDENTIFY[cns] || Object.values(row).some((answer) => answer !== '0/02 DNR')) found[cns] = row;
    }
    expect(found).toEqual(oracle.IDENTIFY);
  });
  it('answers every log page as QEMU 7.2 does', () => {
    const { driver } = started();
    for (const [lid, expected] of Object.entries(oracle.LOGS)) {
      const { status } = driver.admin({ opcode: 2, nsid: 0xffffffff, cdw10: Number(lid) | (127 << 16), prp1: DATA });
      expect([lid, text(status)]).toEqual([lid, expected]);
    }
  });
  it('answers every feature and select as QEMU 7.2 does', () => {
    const { driver } = started();
    for (const [fid, row] of Object.entries(oracle.FEATURES)) {
      const answers = [0, 1, 2, 3].map((select) => {
        const { status, dw0 } = driver.admin({ opcode: 10, nsid: 1, cdw10: Number(fid) | (select << 8), prp1: DATA });
        return status === 0 ? `0x${dw0.toString(16)}` : text(status);
      });
      expect([fid, answers.join(' | ')]).toEqual([fid, row]);
    }
  });
  const answers = (ranges: typeof oracle.IO_OPCODE_ANSWERS): string[] => {
    const table = new Array<string>(256).fill('');
    for (const [answer, list] of Object.entries(ranges))
      for (const [first, last] of list) table.fill(answer, first, last + 1);
    return table;
  };
  it('answers every admin opcode as QEMU 7.2 does', () => {
    answers(oracle.ADMIN_OPCODE_ANSWERS).forEach((expected, opcode) => {
      // Asynchronous Event Request does not complete; Doorbell Buffer Config moves the doorbells to address 0.
      if (expected === '') return;
      const { driver } = started();
      expect([opcode, text(driver.admin({ opcode, prp1: DATA }).status)]).toEqual([opcode, expected]);
    });
  });
  it('answers every I/O opcode as QEMU 7.2 does, but for Copy, which works here', () => {
    answers(oracle.IO_OPCODE_ANSWERS).forEach((expected, opcode) => {
      const { driver } = started();
      driver.createQueuePair(1, 16);
      const answer = text(driver.submit(1, { opcode, nsid: 1, prp1: DATA }).status);
      expect([opcode, answer]).toEqual([opcode, opcode === 0x19 ? '0/00' : expected]);
    });
  });
  it('lists in the effects log what QEMU 7.2 lists', () => {
    const { driver } = started();
    driver.admin({ opcode: 2, nsid: 0xffffffff, cdw10: 5 | (1023 << 16), prp1: DATA });
    const table = (at: number): Record<string, string> => {
      const found: Record<string, string> = {};
      for (let opcode = 0; opcode < 256; opcode++) {
        const effects = driver.view.getUint32(DATA + at + 4 * opcode, true);
        if (effects !== 0) found[`0x${opcode.toString(16)}`] = `0x${effects.toString(16)}`;
      }
      return found;
    };
    expect([table(0), table(1024)]).toEqual([oracle.EFFECTS.admin, oracle.EFFECTS.io]);
  });
});
