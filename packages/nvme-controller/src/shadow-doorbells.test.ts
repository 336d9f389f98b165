// Doorbell Buffer Config in the middle of a queue's life, as Linux sends it after a reset with requests that waited.
import { describe, expect, it } from 'vitest';
import { createNvmeController } from './index.js';
import { RegisterDriver } from './testing.js';

const DATA = 0x40000;
const SHADOWS = 0x3000;
const EVENT_INDEXES = 0x4000;
const READ = { opcode: 2, nsid: 1, prp1: DATA };

/** Linux's rule: ring if the event index lies between the old value and the new one. */
function mustRing(eventIdx: number, value: number, old: number): boolean {
  return ((value - eventIdx - 1) & 0xffff) < ((value - old) & 0xffff);
}

describe('doorbell buffers given to queues that were used before', () => {
  it('ask to be rung for the very next entry', () => {
    const driver = new RegisterDriver(createNvmeController({ namespaces: [{ sizeBytes: 1 << 20 }] }));
    driver.enable();
    driver.enableMsix();
    driver.createQueuePair(1, 64, 1);
    expect(driver.submit(1, READ).status).toBe(0);
    expect(driver.admin({ opcode: 0x7c, prp1: SHADOWS, prp2: EVENT_INDEXES }).status).toBe(0);
    const { view } = driver;
    for (const [word, next] of [
      [8, 2],
      [12, 2],
    ]) {
      expect(mustRing(view.getUint32(EVENT_INDEXES + word, true), next, view.getUint32(SHADOWS + word, true))).toBe(
        true,
      );
    }
  });
});
