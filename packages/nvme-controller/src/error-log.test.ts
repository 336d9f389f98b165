// The error information log: what it says of the newest command that failed. Spec: [NVMe] 2.0 §5.16.1.2.
import * as nvme from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { createNvmeController } from './index.js';
import { RegisterDriver, type TestCommand } from './testing.js';

const DATA = 0x40000;
const { read: READ, write: WRITE, dsm: DSM, copy: COPY } = nvme.NvmeNvmOpcode;
const ALL_ONES = 0xffffffff;

function started() {
  const fn = createNvmeController({ namespaces: [{ sizeBytes: 1 << 20 }] });
  const driver = new RegisterDriver(fn, { ramBytes: 1 << 21 });
  driver.enable();
  driver.createQueuePair(1, 16);
  /** The log's entry as words. */
  const log = (): number[] => {
    const command = { opcode: 2, nsid: ALL_ONES, cdw10: nvme.NVME_LOG_ERROR | (15 << 16), prp1: DATA };
    expect(driver.admin(command).status).toBe(0);
    return Array.from({ length: 16 }, (_, i) => driver.view.getUint32(DATA + 4 * i, true));
  };
  const fail = (command: TestCommand) => {
    const completion = driver.submit(1, { nsid: 1, prp1: DATA, ...command });
    expect(completion.status).not.toBe(0);
    return completion;
  };
  return { driver, log, fail };
}

describe('the error information log', () => {
  it('is empty while nothing has failed', () => {
    expect(started().log()).toEqual(new Array(16).fill(0));
  });

  it('names the queue, the command, its status, its first block and its namespace', () => {
    const { log, fail } = started();
    fail({ opcode: WRITE, cdw10: 0x1234_5678 });
    const { cid, status } = fail({ opcode: READ, cdw10: 0x8000_0001, cdw11: 3 });
    const [count, high, ids, what, lba, lbaHigh, nsid, ...rest] = log();
    expect([count, high]).toEqual([2, 0]);
    expect(ids).toBe(1 | (cid << 16));
    expect(what).toBe(((status << 1) | 0xffff0000) >>> 0);
    expect([lba, lbaHigh, nsid]).toEqual([0x8000_0001, 3, 1]);
    expect(rest).toEqual(new Array(9).fill(0));
  });

  it.each([
    [0x1001, 0x0020_0000],
    [ALL_ONES, ALL_ONES],
  ])('keeps every bit of a block address: low %i, high %i', (cdw10, cdw11) => {
    const { log, fail } = started();
    fail({ opcode: READ, cdw10, cdw11 });
    expect(log().slice(4, 6)).toEqual([cdw10, cdw11]);
  });

  it('has the destination of a Copy, and no block for commands whose dword 10 is no block address', () => {
    const { driver, log, fail } = started();
    fail({ opcode: COPY, cdw10: 5, cdw12: 200 });
    expect(log()[4]).toBe(5);
    fail({ opcode: DSM, cdw10: 7, cdw11: 4, nsid: 2 });
    expect(log()[4]).toBe(0);
    fail({ opcode: 0xee, cdw10: 9 });
    expect(log()[4]).toBe(0);
    expect(driver.admin({ opcode: 0xee, cdw10: 9 }).status).not.toBe(0);
    expect(log()[4]).toBe(0);
  });
});
