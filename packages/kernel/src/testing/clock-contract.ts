/** The contract any clock must keep. */
import type { Clock } from '../ports.js';
import type { ContractRunner } from './contract.js';

/** A clock under test, and what makes at least so much time pass outside of it. */
export interface ClockFixture {
  readonly clock: Clock;
  pass(ns: number): void | Promise<void>;
}

/** The contract of `Clock`; `make` gives a fresh fixture. */
export function clockContract({ describe, it, expect }: ContractRunner, name: string, make: () => ClockFixture): void {
  describe(`Clock contract: ${name}`, () => {
    it('never goes back', async () => {
      const { clock, pass } = make();
      let before = clock.now();
      for (let n = 0; n < 5; n++) {
        await pass(1000);
        clock.reach(before);
        expect(clock.now() >= before).toBe(true);
        before = clock.now();
      }
    });

    it('has reached what lies behind', () => {
      const { clock } = make();
      expect(clock.reach(clock.now())).toBe(true);
      expect(clock.reach(0)).toBe(true);
    });

    it('says that a deadline is reached only when it is not before it', async () => {
      const { clock, pass } = make();
      const deadlineNs = clock.now() + 2_000_000;
      expect(clock.reach(deadlineNs)).toBe(clock.now() >= deadlineNs);
      await pass(2_000_000);
      expect(clock.reach(deadlineNs)).toBe(true);
      expect(clock.now() >= deadlineNs).toBe(true);
    });
  });
}
