import { createPciBus } from '@nvme-stack/pci-bus';
import { describe, expect, it } from 'vitest';
import { ALL, adminOpcodes, during, events, machineOf, OLD, REG_CC, registers, running, writesTo } from './bench.js';

const IDENTIFY = 0x06;

/** What the start of a controller does to it. */
async function start(profile: (typeof ALL)[number], more: Parameters<typeof machineOf>[1] = {}) {
  const machine = await machineOf(profile, more);
  return during(machine, async () => {
    await machine.modprobe('nvme');
    await machine.settle();
  });
}

describe('registers', () => {
  // @acceptance 74 82
  it.each([
    ['6.12', 'r1c r0 r4 r3c r8 w14 r1c w24 w28 w2c w30 w34 r0 r4 w14 r0 r4 w14 r1c r8'],
    ['6.1', 'r1c r0 r4 r3c r8 w14 r1c w24 w28 w2c w30 w34 r0 r4 w14 r14 r0 r4 w14 r1c r8'],
    ['4.13', 'r1c r0 r4 r8 r3c r8 w14 r1c w24 w28 w2c w30 w34 w14 r1c r8 r0 r4'],
    ['4.10', 'r1c r0 r4 r8 r3c r0 r4 r8 w14 r1c w24 w28 w2c w30 w34 w14 r1c r8 r0 r4'],
  ] as const)('are accessed in the order of %s: %s', async (profile, order) => {
    expect(registers(await start(profile)).join(' ')).toBe(order);
  });

  it.each([
    ['6.12', [0, 0x460060, 0x460061]],
    ['6.1', [0, 0x460060, 0x460061]],
    ['4.13', [0, 0x460001]],
    ['4.10', [0, 0x460001]],
  ] as const)('CC of %s is written %j', async (profile, values) => {
    expect(writesTo(await start(profile), REG_CC)).toEqual(values);
  });

  // @acceptance 58
  it.each(ALL)(
    'AQA of %s says how deep the admin queue is; one slot stays empty, and one tag is for events',
    async (profile) => {
      const entries = await start(profile);
      const depth = profile === '4.10' ? 256 : 32;
      expect(writesTo(entries, 0x24)).toEqual([(depth - 1) | ((depth - 1) << 16)]);
      const machine = await running(profile);
      expect(machine.queues('nvme0')[0].depth).toBe(depth);
      const ctrl = machine.subsystems.nvmeCore.controllers[0];
      expect(ctrl.adminTagset?.queueDepth).toBe(depth - 2);
      // The event request carries the tag that the block layer does not have.
      const event = events(entries, 'admin_cmd').filter(({ opc }) => opc === 0x0c);
      expect(event.map(({ cid }) => cid)).toEqual([depth - 1]);
    },
  );
});

describe('the depth of I/O queues', () => {
  // @acceptance 75
  it.each([
    [63, 64],
    [1023, 1024],
    [2047, 1024],
  ])('is MQES + 1 and at most 1024: MQES %i gives %i', async (mqes, depth) => {
    for (const profile of ALL) {
      const machine = await running(profile, { nvme: [{ mqes, namespaces: [{ sizeMiB: 8 }] }] });
      expect(machine.queues('nvme0')[1].depth, profile).toBe(depth);
      await machine.disk('nvme0n1').write(0, new Uint8Array(65536).fill(1));
      expect((await machine.disk('nvme0n1').read(65024, 512))[511]).toBe(1);
    }
  });

  // @acceptance 75
  it.each(OLD)('has no parameter on %s', async (profile) => {
    const machine = await machineOf(profile);
    await expect(machine.modprobe('nvme', { io_queue_depth: 64 })).rejects.toMatchObject({ code: 'EINVAL' });
    const newer = await machineOf('6.1');
    await newer.modprobe('nvme', { io_queue_depth: 64 });
    expect(newer.queues('nvme0')[1].depth).toBe(64);
  });
});

describe('commands', () => {
  /** Doorbell Buffer Config since 4.12; Get Log and Set Features of the start since 4.14 and later. */
  it.each([
    ['6.12', [6, 2, 9, 9, 2, 9, 5, 1, 5, 1, 0x7c, 9]],
    ['6.1', [6, 2, 9, 9, 2, 9, 5, 1, 5, 1, 0x7c, 9]],
    ['4.13', [6, 9, 5, 1, 5, 1, 0x7c]],
    ['4.10', [6, 9, 5, 1, 5, 1]],
  ] as const)('of %s before the scan are %j', async (profile, opcodes) => {
    const all = adminOpcodes(await start(profile, { cpus: 2 })).filter((opcode) => opcode !== 0x0c);
    expect(all.slice(0, opcodes.length)).toEqual(opcodes);
    // What follows is the scan's.
    for (const opcode of all.slice(opcodes.length)) expect(opcode).toBe(IDENTIFY);
  });

  it.each([
    ['6.12', [1, 6, 2, 3, 0, 0, 5]],
    ['6.1', [1, 6, 2, 3, 0, 0, 5]],
    ['4.13', [1, 1, 2, 0, 3]],
    ['4.10', [1, 1, 2, 0]],
  ] as const)('of %s identify with CNS %j', async (profile, cns) => {
    expect(events(await start(profile), 'identify').map((each) => each.cns)).toEqual(cns);
  });

  it.each([
    ['6.12', [0x0e, 0x16, 0x07, 0x0b]],
    ['6.1', [0x0e, 0x16, 0x07, 0x0b]],
    ['4.13', [0x07]],
    ['4.10', [0x07]],
  ] as const)('of %s set features %j', async (profile, features) => {
    expect(events(await start(profile), 'setfeat').map(({ fid }) => fid)).toEqual(features);
  });

  // @acceptance 115
  it.each(ALL)('of %s carry the tag as identifier, alone or below a count of its uses', async (profile) => {
    const machine = await running(profile);
    const entries = await during(machine, async () => {
      for (let i = 0; i < 3; i++) await machine.disk('nvme0n1').read(0, 4096);
    });
    const cids = events(entries, 'io_cmd').map(({ cid }) => cid);
    expect(cids.length).toBe(3);
    if (OLD.includes(profile)) for (const cid of cids) expect(cid).toBeLessThan(1023);
    else expect(new Set(cids.map((cid) => cid >> 12)).size).toBeGreaterThan(1);
  });
});

describe('vectors', () => {
  // @acceptance 93 94 95
  it.each(ALL)('of %s: one for each I/O queue; the admin queue has its own, or shares the first', async (profile) => {
    const entries = await start(profile);
    const isShared = OLD.includes(profile);
    expect(events(entries, 'create_cq').map(({ vector }) => vector)).toEqual(isShared ? [0, 1, 2, 3] : [1, 2, 3, 4]);
    const machine = await running(profile);
    const lines = machine.procfs
      .read('/proc/interrupts')
      .split('\n')
      .filter((line) => line.includes('nvme0q'));
    expect(
      lines.map((line) =>
        line
          .trim()
          .split(/\s{2,}/)
          .at(-1)
          ?.replace(/^.*edge\s*/, ''),
      ),
    ).toEqual(
      isShared
        ? ['nvme0q0, nvme0q1', 'nvme0q2', 'nvme0q3', 'nvme0q4']
        : ['nvme0q0', 'nvme0q1', 'nvme0q2', 'nvme0q3', 'nvme0q4'],
    );
  });

  // @acceptance 135
  it.each(['6.12', '6.1'] as const)(
    'of %s: none for a polled queue, whose requests end all the same',
    async (profile) => {
      const machine = await machineOf(profile);
      await machine.modprobe('nvme', { poll_queues: 1 });
      const queues = machine.queues('nvme0');
      expect(queues.filter(({ polled }) => polled).map(({ vector }) => vector)).toEqual([-1]);
      expect(machine.procfs.read('/proc/interrupts')).not.toContain(`nvme0q${queues.length - 1}`);
      await machine.disk('nvme0n1').write(0, new Uint8Array(4096).fill(5));
      expect((await machine.disk('nvme0n1').read(0, 4096))[7]).toBe(5);
    },
  );

  // @acceptance 94 96 135
  it.each(OLD)('of %s that two queues share call both handlers, of which one has something to do', async (profile) => {
    const machine = await running(profile, { cpus: 1 });
    const entries = await during(machine, () => machine.disk('nvme0n1').read(0, 4096));
    expect(entries.filter(({ symbol }) => symbol === 'nvme_irq').length).toBe(2);
    expect(machine.dmesg().join('\n')).not.toContain('nobody cared');
  });

  it.each(OLD)('of %s: a controller with two vectors gets two I/O queues, on 6.x one', async (profile) => {
    const two = { nvme: [{ preset: 'qemu-7.2' as const, msixVectors: 2, namespaces: [{ sizeMiB: 8 }] }] };
    expect((await running(profile, two)).queues('nvme0').length).toBe(3);
    expect((await running('6.1', two)).queues('nvme0').length).toBe(2);
  });
});

describe('the BAR', () => {
  const WIDE = { cpus: 8, nvme: [{ dstrd: 8, namespaces: [{ sizeMiB: 8 }] }] } as const;

  // @acceptance 36 37
  it.each(ALL)('of %s is mapped as 8 KiB first, and further when the doorbells need it', async (profile) => {
    const sizes: number[] = [];
    const machine = await machineOf(profile, WIDE, {
      parts: {
        pciBus: (deps) => {
          const real = createPciBus(deps);
          const ioremap: typeof real.ioremap = (pdev, bar, sizeBytes) => {
            sizes.push(sizeBytes);
            return real.ioremap(pdev, bar, sizeBytes);
          };
          return new Proxy(real, { get: (target, key) => (key === 'ioremap' ? ioremap : Reflect.get(target, key)) });
        },
      },
    });
    await machine.modprobe('nvme');
    await machine.settle();
    expect(machine.queues('nvme0').length).toBe(9);
    // 4 KiB of registers, then two doorbells a queue, 1 KiB apart.
    expect(sizes).toEqual([8192, 4096 + 9 * 2 * 1024]);
    await machine.disk('nvme0n1').write(0, new Uint8Array(4096).fill(3));
    expect((await machine.disk('nvme0n1').read(0, 4096))[4095]).toBe(3);
  });
});
