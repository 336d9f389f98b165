import type { Machine } from '@nvme-stack/machine';
import { NVME_IOCTL_RESET } from '@nvme-stack/nvme-core/ports';
import { describe, expect, it } from 'vitest';
import { codeOf, Faults, firstDifference, KIB, leftBehind, log, NVME_BDF, pattern, running } from './bench.js';

const RESET = '/sys/class/nvme/nvme0/reset_controller';
const CHUNK = 16 * KIB;

/** Writes `count` chunks at once; resolves when every one has ended. */
function load(machine: Machine, count: number, salt: number): Promise<PromiseSettledResult<void>[]> {
  const disk = machine.disk('nvme0n1');
  return Promise.allSettled(Array.from({ length: count }, (_, i) => disk.write(i * CHUNK, pattern(CHUNK, salt + i))));
}

async function dataIsRight(machine: Machine, count: number, salt: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    expect(
      firstDifference(await machine.disk('nvme0n1').read(i * CHUNK, CHUNK), pattern(CHUNK, salt + i)),
      `chunk ${i}`,
    ).toBe(-1);
  }
}

describe('a reset', () => {
  it.each([0, 1000, 50_000, 400_000])('under load loses nothing, started %i ns into it', async (afterNs) => {
    const latency = { kind: 'fixed', readNs: 80_000, writeNs: 100_000 } as const;
    const machine = await running({ latency }, { cpus: 4 });
    const ended = load(machine, 64, 1);
    await machine.run(afterNs);
    await machine.sysfs.write(RESET, '1');
    expect((await ended).map(({ status }) => status)).toEqual(Array.from({ length: 64 }, () => 'fulfilled'));
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    await dataIsRight(machine, 64, 1);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('by ioctl is announced', async () => {
    const machine = await running();
    await machine.ioctl('/dev/nvme0', NVME_IOCTL_RESET, null);
    expect(log(machine).slice(-2)).toEqual([
      'nvme nvme0: resetting controller',
      'nvme nvme0: 4/0/0 default/read/poll queues',
    ]);
  });

  it('may be repeated ever so often', async () => {
    const machine = await running({}, { cpus: 2 });
    for (let round = 0; round < 5; round++) {
      const ended = load(machine, 8, round);
      await machine.sysfs.write(RESET, '1');
      expect((await ended).every(({ status }) => status === 'fulfilled')).toBe(true);
    }
    await dataIsRight(machine, 8, 4);
    expect(machine.queues('nvme0').length).toBe(3);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('refuses a second one at the same time', async () => {
    const machine = await running();
    const both = await Promise.all([codeOf(machine.sysfs.write(RESET, '1')), codeOf(machine.sysfs.write(RESET, '1'))]);
    expect(both).toEqual([null, 'EBUSY']);
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('passes through resetting and connecting to live', async () => {
    const machine = await running({}, { trace: 'full' });
    const from = machine.trace.entries.length;
    await machine.sysfs.write(RESET, '1');
    const calls = machine.trace.entries.slice(from).filter(({ kind }) => kind === 'function');
    const states = calls.filter(({ symbol }) => symbol === 'nvme_change_ctrl_state');
    expect(states.length).toBe(3);
    const order = [
      'nvme_reset_work',
      'nvme_dev_disable',
      'nvme_delete_io_queues',
      'nvme_pci_enable',
      'nvme_init_ctrl_finish',
      'nvme_setup_io_queues',
      'nvme_wait_freeze',
      'blk_mq_update_nr_hw_queues',
      'nvme_start_ctrl',
    ];
    const seen = calls.map(({ symbol }) => symbol).filter((symbol) => order.includes(symbol));
    expect([...new Set(seen)]).toEqual(order.filter((symbol) => seen.includes(symbol)));
    expect(seen.length).toBeGreaterThanOrEqual(order.length - 2);
  });

  it('takes new parameters: fewer and more queues', async () => {
    const faults = new Faults();
    const machine = await running({}, { cpus: 4 }, { faultPlans: [faults] });
    const CREATE_CQ = 5;
    let created = 0;
    faults.onCommand = (sqid, _cid, opcode) =>
      sqid === 0 && opcode === CREATE_CQ && ++created === 3 ? { kind: 'status', status: 0x4101 } : null;
    await machine.sysfs.write(RESET, '1');
    expect(machine.queues('nvme0').length).toBe(3);
    expect(log(machine).at(-1)).toBe('nvme nvme0: 2/0/0 default/read/poll queues');
    await load(machine, 8, 3);
    await dataIsRight(machine, 8, 3);
    faults.clear();
    await machine.sysfs.write(RESET, '1');
    expect(machine.queues('nvme0').length).toBe(5);
    await load(machine, 8, 4);
    await dataIsRight(machine, 8, 4);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('without queues afterwards keeps the controller and removes its disks; the next one brings them back', async () => {
    const faults = new Faults();
    const machine = await running({}, { cpus: 2 }, { faultPlans: [faults] });
    await machine.disk('nvme0n1').write(0, pattern(4 * KIB, 8));
    faults.onCommand = (sqid, _cid, opcode) => (sqid === 0 && opcode === 5 ? { kind: 'status', status: 0x4101 } : null);
    await machine.sysfs.write(RESET, '1');
    await machine.settle();
    expect(log(machine)).toContain('nvme nvme0: IO queues lost');
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    expect(() => machine.disk('nvme0n1')).toThrow('there is no disk nvme0n1');
    faults.clear();
    await machine.sysfs.write(RESET, '1');
    await machine.settle();
    expect(firstDifference(await machine.disk('nvme0n1').read(0, 4 * KIB), pattern(4 * KIB, 8))).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('of a controller that does not come back leaves a dead controller, whose I/O fails and whose driver unloads', async () => {
    const faults = new Faults();
    const latency = { kind: 'fixed', writeNs: 100_000 } as const;
    const machine = await running({ latency }, { cpus: 2 }, { faultPlans: [faults] });
    const disk = machine.disk('nvme0n1');
    await disk.write(0, pattern(4 * KIB));
    faults.becomesReady = () => false;
    const ended = load(machine, 8, 2);
    const code = await codeOf(machine.sysfs.write(RESET, '1'));
    expect(code).not.toBe(null);
    expect(code).not.toBe('EBUSY');
    for (const one of await ended) {
      if (one.status === 'rejected') expect(['EIO', 'ENODEV']).toContain(one.reason.code);
    }
    expect((await ended).some(({ status }) => status === 'rejected')).toBe(true);
    const lines = log(machine);
    expect(
      lines.some((line) => line.startsWith('nvme nvme0: Device not ready; aborting initialisation, CSTS=0x')),
    ).toBe(true);
    expect(lines).toContain('nvme nvme0: Disabling device after reset failure: -19');
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('dead\n');
    expect(['EIO', 'ENODEV']).toContain(await codeOf(disk.read(0, 512)));
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('by function-level reset through sysfs brings the controller back', async () => {
    const machine = await running({}, { cpus: 2 });
    const ended = load(machine, 16, 5);
    await machine.sysfs.write(`/sys/bus/pci/devices/${NVME_BDF}/reset`, '1');
    expect((await ended).every(({ status }) => status === 'fulfilled')).toBe(true);
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    await dataIsRight(machine, 16, 5);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('recovers from a bus error', async () => {
    const machine = await running({}, { cpus: 2 });
    const pdev = machine.device(NVME_BDF).pdev;
    if (pdev === null) throw new Error('no device');
    const ended = load(machine, 16, 6);
    const result = await machine.task('aer', ({ pciBus }) => pciBus.pcieDoRecovery(pdev, 'frozen'));
    expect(result).toBe('recovered');
    expect((await ended).every(({ status }) => status === 'fulfilled')).toBe(true);
    const lines = log(machine);
    expect(lines).toContain('nvme nvme0: frozen state error detected, reset controller');
    expect(lines).toContain('nvme nvme0: restart after slot reset');
    await machine.settle();
    await dataIsRight(machine, 16, 6);
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('rescan_controller', () => {
  it('finds a namespace that appeared, and loses one that went', async () => {
    const machine = await running({ namespaces: [{ sizeMiB: 1 }, { sizeMiB: 2, attached: false }] });
    const controller = machine.device(NVME_BDF).function as unknown as {
      setNamespaceActive(nsid: number, active: boolean): void;
    };
    expect(machine.sysfs.exists('/sys/block/nvme0n2')).toBe(false);
    controller.setNamespaceActive(2, true);
    await machine.sysfs.write('/sys/class/nvme/nvme0/rescan_controller', '1');
    await machine.settle();
    expect(machine.disk('nvme0n2').sizeBytes).toBe(2 << 20);
    controller.setNamespaceActive(1, false);
    await machine.sysfs.write('/sys/class/nvme/nvme0/rescan_controller', '1');
    await machine.settle();
    expect(() => machine.disk('nvme0n1')).toThrow('there is no disk nvme0n1');
    expect(await leftBehind(machine)).toEqual([]);
  });
});
