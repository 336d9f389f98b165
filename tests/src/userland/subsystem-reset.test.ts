import { NVME_IOCTL_SUBSYS_RESET, PROFILES } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';
import { stateOf } from '../controller-state.js';
import { codeOf, KIB, leftBehind, log, pattern, running, SECOND_NS } from '../features/bench.js';

/** What the log says of the way back. */
const RECOVERY = {
  '6.12': /4\/0\/0 default\/read\/poll queues/,
  '6.1': /4\/0\/0 default\/read\/poll queues/,
  '4.13': /controller is down; will reset: CSTS=0x10/,
  '4.10': /Failed status: 0x10, reset controller/,
};

describe.each(PROFILES)('NVME_IOCTL_SUBSYS_RESET on profile %s', (profile) => {
  it('is refused by a controller without it', async () => {
    const machine = await running({}, { profile });
    await machine.settle();
    expect(await codeOf(machine.ioctl('/dev/nvme0', NVME_IOCTL_SUBSYS_RESET, null))).toBe('ENOTTY');
  });

  it('ends in a controller that works, sooner or later', async () => {
    const machine = await running({ subsystemReset: true }, { profile });
    await machine.settle();
    const data = pattern(4 * KIB);
    await machine.disk('nvme0n1').write(0, data);
    const lines = log(machine).length;
    expect(await machine.ioctl('/dev/nvme0', NVME_IOCTL_SUBSYS_RESET, null)).toBe(0);
    // 6.1 resets at once; elsewhere the next command finds out by its time-out, or the watchdog does.
    if (profile === '6.1') {
      await machine.settle();
      expect(log(machine).slice(lines).join('\n')).toMatch(RECOVERY[profile]);
    }
    // A read that finds out by its time-out is not sent again by 4.13.
    if (profile === '4.13') expect(await codeOf(machine.disk('nvme0n1').read(0, 4 * KIB))).toBe('EIO');
    expect(await machine.disk('nvme0n1').read(0, 4 * KIB)).toEqual(data);
    await machine.run(5 * SECOND_NS);
    expect(stateOf(machine)).toBe('live');
    expect(log(machine).slice(lines).join('\n')).toMatch(RECOVERY[profile]);
    expect(await leftBehind(machine)).toEqual([]);
  });
});
