import { Completion, waitForCompletion } from '@nvme-stack/kernel';
import { createMachine } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';
import { codeOf, firstDifference, KIB, leftBehind, MIB, NVME_BDF, pattern, running } from './bench.js';

describe('machines', () => {
  it('live side by side and know nothing of each other', async () => {
    const machines = await Promise.all(
      [1, 2, 3].map((seed) => running({ serial: `disk${seed}` }, { seed, cpus: seed })),
    );
    await Promise.all(machines.map((machine, i) => machine.disk('nvme0n1').write(0, pattern(64 * KIB, i))));
    for (const [i, machine] of machines.entries()) {
      expect(machine.sysfs.read('/sys/class/nvme/nvme0/serial').trim()).toBe(`disk${i + 1}`);
      expect(machine.queues('nvme0').length).toBe(i + 2);
      expect(firstDifference(await machine.disk('nvme0n1').read(0, 64 * KIB), pattern(64 * KIB, i))).toBe(-1);
    }
    await machines[0]?.device(NVME_BDF).unplug();
    await machines[0]?.settle();
    expect(machines[1]?.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    for (const machine of machines) expect(await leftBehind(machine)).toEqual([]);
  });

  it('that hit a BUG halt, and no other does', async () => {
    const [broken, sound] = await Promise.all([running(), running()]);
    await expect(broken.task('broken', async ({ kernel }) => kernel.ex.bug('on purpose'))).rejects.toThrow(
      'BUG: on purpose',
    );
    await expect(broken.disk('nvme0n1').read(0, 512)).rejects.toThrow('BUG: on purpose');
    expect((await sound.disk('nvme0n1').read(0, 512)).length).toBe(512);
  });

  it('that can go no further say who waits for what', async () => {
    const machine = await running();
    const stuck = machine.task('a patient task', async ({ kernel }) =>
      waitForCompletion(new Completion(kernel, 'what never comes')),
    );
    await expect(stuck).rejects.toThrow(/a patient task.*what never comes/s);
    expect((await machine.disk('nvme0n1').read(0, 512)).length).toBe(512);
  });

  it('that are closed refuse calls', async () => {
    const machine = await running();
    machine.close();
    await expect(machine.disk('nvme0n1').read(0, 512)).rejects.toThrow('the machine is closed');
    await expect(machine.rmmod('nvme')).rejects.toThrow('the machine is closed');
  });
});

describe('a refusal is one sentence that names field, value and what is allowed', () => {
  it.each<[number, number, string]>([
    [1, 512, 'nvme0n1: offset is 1; allowed: a multiple of 512, at least 0'],
    [-512, 512, 'nvme0n1: offset is -512; allowed: a multiple of 512, at least 0'],
    [0.5, 512, 'nvme0n1: offset is 0.5; allowed: a multiple of 512, at least 0'],
    [0, 100, 'nvme0n1: length is 100; allowed: a multiple of 512, at least 0'],
    [0, Number.NaN, 'nvme0n1: length is NaN; allowed: a multiple of 512, at least 0'],
    [8 * MIB, 512, `nvme0n1: end is ${8 * MIB + 512}; allowed: at most ${8 * MIB}`],
  ])('of a read at %d of %d bytes', async (offset, length, sentence) => {
    const machine = await running();
    const disk = machine.disk('nvme0n1');
    await expect(disk.read(offset, length)).rejects.toThrow(sentence);
    await expect(disk.discard(offset, length)).rejects.toThrow(sentence);
    expect(await codeOf(disk.writeZeroes(offset, length))).toBe('EINVAL');
  });

  it('of a disk that is gone', async () => {
    const machine = await running();
    const disk = machine.disk('nvme0n1');
    await machine.rmmod('nvme');
    await expect(disk.read(0, 512)).rejects.toThrow('nvme0n1 is gone');
    await expect(disk.flush()).rejects.toThrow('nvme0n1 is gone');
    expect(await codeOf(disk.write(0, pattern(512)))).toBe('ENODEV');
    expect(() => machine.disk('nvme9n1')).toThrow('there is no disk nvme9n1');
    expect(() => machine.device('0000:00:1e.0')).toThrow('there is no PCI function 0000:00:1e.0');
    expect(() => machine.device('rubbish')).toThrow('there is no PCI function rubbish');
    expect(() => machine.queues('nvme0')).toThrow('there is no controller nvme0');
  });

  it.each([
    ['nvme', { io_queue_depth: 1 }, 'io_queue_depth is 1; allowed are 2 to 4095'],
    ['nvme', { io_queue_depth: 4096 }, 'io_queue_depth is 4096; allowed are 2 to 4095'],
    ['nvme', { poll_queues: 5 }, 'poll_queues is 5; allowed are 0 to 4'],
    ['nvme', { write_queues: -1 }, /write_queues cannot be '-1'/],
    ['nvme', { io_queue_depth: 'many' }, /io_queue_depth cannot be 'many'/],
    ['nvme', { colour: 'red' }, /module nvme has no parameter 'colour' \(given 'red'\); it has .*io_queue_depth/],
    ['nvmf', {}, /nvmf/],
  ])('of modprobe %s %j', async (name, params, sentence) => {
    const machine = await createMachine({ trace: 'off' });
    await expect(machine.modprobe(name, params)).rejects.toThrow(sentence);
    expect(machine.sysfs.exists('/sys/class/nvme/nvme0')).toBe(false);
    await machine.modprobe('nvme');
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    expect(machine.controllers()).toEqual([{ name: 'nvme0', address: '0000:00:03.0', state: 'live' }]);
  });

  it('of files, ioctls and buffers', async () => {
    const machine = await running();
    expect(() => machine.sysfs.read('/sys/class/nvme/nvme7/state')).toThrow('/sys/class/nvme/nvme7/state');
    expect(() => machine.procfs.read('/proc/nothing')).toThrow('/proc/nothing');
    expect(await codeOf(machine.sysfs.write('/sys/class/nvme/nvme0/model', 'x'))).toBe('EACCES');
    expect(await codeOf(machine.ioctl('/dev/nvme0', 0x1234, null))).toBe('ENOTTY');
    expect(await codeOf(machine.ioctl('/dev/nvme9', 0x1234, null))).toBe('ENOENT');
    expect(() => machine.allocBuffer(1 << 30)).toThrow(/a buffer of 1073741824 bytes needs 262144 pages; free are \d+/);
    expect(() => machine.allocBuffer(8192, { pieceBytes: [4096] })).toThrow(
      'pieceBytes is [4096]; allowed: whole pages, together 8192',
    );
    await expect(machine.modprobe('nvme').then(() => machine.rmmod('never'))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(machine.plug({ slot: 3 })).rejects.toThrow(/taken/);
    expect((await machine.disk('nvme0n1').read(0, 512)).length).toBe(512);
    expect(await leftBehind(machine)).toEqual([]);
  });
});
