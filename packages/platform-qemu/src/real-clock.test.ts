import { describe, expect, it } from 'vitest';
import { createQemuClock, type QemuBoard } from './index.js';

/** A board whose time is set by the test; each question takes `stepNs`. */
function fakeBoard(stepNs: number) {
  const state = { timeNs: 1e12, raised: false };
  const link = {
    get raised() {
      return state.raised;
    },
    hear: () => {
      state.raised = false;
    },
  };
  const nowNs = (): number => {
    state.timeNs += stepNs;
    return state.timeNs;
  };
  return { state, board: { link, nowNs } as unknown as QemuBoard };
}

describe('the clock of a machine on QEMU', () => {
  it('starts at 0 and follows real time', () => {
    const { state, board } = fakeBoard(0);
    const clock = createQemuClock(board);
    expect(clock.now()).toBe(0);
    state.timeNs += 5000;
    expect(clock.now()).toBe(5000);
  });

  it('says whether a deadline has come', () => {
    const { state, board } = fakeBoard(0);
    const clock = createQemuClock(board);
    expect(clock.reach(1000)).toBe(false);
    state.timeNs += 1000;
    expect(clock.reach(1000)).toBe(true);
  });

  it('looks at the devices once when nothing is expected, and again and again after a write', () => {
    const { board } = fakeBoard(1000);
    const clock = createQemuClock(board);
    let looks = 0;
    clock.look = () => {
      looks++;
      return false;
    };
    expect(clock.reach(1e9)).toBe(false);
    expect(looks).toBe(1);
    clock.expect();
    expect(clock.reach(1e9)).toBe(false);
    expect(looks).toBeGreaterThan(100);
    expect(looks).toBeLessThan(1000);
  });

  it('waits no longer once a device has answered, nor past the deadline', () => {
    const { board } = fakeBoard(1000);
    const clock = createQemuClock(board);
    let looks = 0;
    clock.look = () => ++looks === 5;
    clock.expect();
    expect(clock.reach(1e9)).toBe(false);
    expect(looks).toBe(5);
    clock.look = () => false;
    clock.expect();
    expect(clock.reach(clock.now() + 10_000)).toBe(true);
  });

  it('looks at once when a line was raised, and now and then while the machine is busy', () => {
    const { state, board } = fakeBoard(1000);
    const clock = createQemuClock(board);
    let looks = 0;
    clock.look = () => {
      looks++;
      return false;
    };
    for (let n = 0; n < 50; n++) clock.now();
    expect(looks).toBe(0);
    state.raised = true;
    clock.now();
    expect([looks, state.raised]).toEqual([1, false]);
    for (let n = 0; n < 1000; n++) clock.now();
    expect(looks).toBeGreaterThan(5);
    expect(looks).toBeLessThan(20);
  });
});
