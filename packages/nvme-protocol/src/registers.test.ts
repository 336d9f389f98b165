import { describe, expect, test } from 'vitest';
import { cqHeadDoorbellOffset, doorbellBytes, doorbellIndex, sqTailDoorbellOffset } from './doorbells.js';
import * as constants from './register-constants.js';
import { AQA, CAP, CC, NvmeRegisters, VS } from './registers.js';

test('a captured CAP decodes to the capabilities of that device', () => {
  const [lo, hi] = [0x0f0107ff, 0x00401820];
  const read = (name: keyof typeof CAP) => CAP[name].get(lo, hi);
  expect(read('MQES')).toBe(2047);
  expect(read('CQR')).toBe(1);
  expect(read('AMS')).toBe(0);
  expect(read('TO')).toBe(15);
  expect(read('DSTRD')).toBe(0);
  expect(read('CSS')).toBe(constants.NVME_CAP_CSS_NVM | constants.NVME_CAP_CSS_CSI | constants.NVME_CAP_CSS_ADMIN);
  expect([read('MPSMIN'), read('MPSMAX')]).toEqual([0, 4]);
  expect([read('PMRS'), read('CMBS'), read('CRWMS'), read('CRIMS'), read('BPS')]).toEqual([0, 0, 0, 0, 0]);
});

test('the values Linux writes while it enables a controller come out of the fields', () => {
  const enable = constants.NVME_CC_IOSQES | constants.NVME_CC_IOCQES | constants.NVME_CC_CSS_CSI;
  expect(enable).toBe(0x00460060);
  expect(enable | constants.NVME_CC_ENABLE).toBe(0x00460061);
  expect(CC.SHN.set(enable | constants.NVME_CC_ENABLE, 1)).toBe(0x00464061);
  expect(AQA.ACQS.put(31) | AQA.ASQS.put(31)).toBe(0x001f001f);
  expect(constants.NVME_VS(1, 4, 0)).toBe(0x10400);
  expect([VS.MJR.get(0x10400), VS.MNR.get(0x10400), VS.TER.get(0x10400)]).toEqual([1, 4, 0]);
});

test('every offset constant names the register that lies there', () => {
  const offsets = Object.entries(constants).filter(([name]) => name.startsWith('NVME_REG_') && name !== 'NVME_REG_DBS');
  expect(offsets.length).toBe(Object.keys(NvmeRegisters.registers).length);
  for (const [name, offset] of offsets) expect(NvmeRegisters.nameAt(offset as number)).toBe(name.slice(9));
});

describe('doorbells', () => {
  // @acceptance 103
  test.each([
    [0, 0, 0x1000, 0x1004],
    [1, 0, 0x1008, 0x100c],
    [3, 0, 0x1018, 0x101c],
    [1, 2, 0x1020, 0x1030],
  ])('of queue %d with stride %d lie at %d and %d', (qid, stride, tail, head) => {
    expect(sqTailDoorbellOffset(qid, stride)).toBe(tail);
    expect(cqHeadDoorbellOffset(qid, stride)).toBe(head);
    expect(doorbellIndex(tail, stride)).toBe(2 * qid);
    expect(doorbellIndex(head, stride)).toBe(2 * qid + 1);
  });

  test('start nowhere else', () => {
    expect([doorbellIndex(0x0ffc, 0), doorbellIndex(0x1002, 0), doorbellIndex(0x1004, 2)]).toEqual([-1, -1, -1]);
    expect(doorbellBytes(65, 0)).toBe(520);
  });
});
