import type { Machine, MachineDescription } from '@nvme-stack/machine';
import type { NvmeController } from '@nvme-stack/nvme-controller/ports';
import { NVME_IOCTL_ADMIN_CMD } from '@nvme-stack/nvme-core/ports';
import { describe, expect, it } from 'vitest';
import {
  codeOf,
  Faults,
  firstDifference,
  KIB,
  leftBehind,
  log,
  MIB,
  machineWith,
  NVME_BDF,
  pattern,
  SECOND_NS,
} from './bench.js';
import { events, identified, mark } from './device-events.js';

type Nvme = NonNullable<MachineDescription['nvme']>[number];

const CTRL = '/sys/class/nvme/nvme0';
const QUEUE = '/sys/block/nvme0n1/queue';
const UUID = '0f0e0d0c-0b0a-0908-0706-050403020100';
/** A drive that no entry of the table knows: it matches by its class. */
const PLAIN = [0x1234, 0x5678] as const;
const OPC_WRITE_ZEROES = 8;
const OPC_DSM = 9;
const CC = 0x14;
const CSTS = 0x1c;

/** A machine whose function is that device, with the driver loaded. */
async function withDevice(
  [vendorId, deviceId]: readonly [number, number],
  nvme: Nvme = {},
  more: MachineDescription = {},
  faults?: Faults,
): Promise<Machine> {
  const machine = await machineWith(
    { pci: { vendorId, deviceId }, ...nvme },
    { trace: 'full', ...more },
    faults === undefined ? {} : { faultPlans: [faults] },
  );
  await machine.modprobe('nvme');
  return machine;
}

/** Opcodes of I/O commands. */
function opcodes(machine: Machine, from = 0): number[] {
  return events(machine, 'pci_nvme_io_cmd', from).map(([, , , opcode]) => opcode as number);
}

/** Command identifiers of I/O commands. */
function identifiers(machine: Machine): number[] {
  return events(machine, 'pci_nvme_io_cmd').map(([cid]) => cid as number);
}

function controller(machine: Machine): NvmeController {
  return machine.device(NVME_BDF).function as NvmeController;
}

describe('a quirk', () => {
  it('STRIPE_SIZE: requests do not cross multiples of the largest transfer', async () => {
    const machine = await withDevice([0x8086, 0x0953], { mdts: 5 });
    expect(machine.sysfs.read(`${QUEUE}/chunk_sectors`)).toBe('256\n');
    const from = mark(machine);
    await machine.disk('nvme0n1').write(64 * KIB, pattern(128 * KIB));
    expect(events(machine, 'pci_nvme_write', from).map(([, , blocks, slba]) => [slba, blocks])).toEqual([
      [128, 128],
      [256, 128],
    ]);
    const plain = await withDevice(PLAIN, { mdts: 5 });
    expect(plain.sysfs.read(`${QUEUE}/chunk_sectors`)).toBe('0\n');
    await plain.disk('nvme0n1').write(64 * KIB, pattern(128 * KIB));
    expect(events(plain, 'pci_nvme_write').map(([, , blocks]) => blocks)).toEqual([256]);
  });

  it('DEALLOCATE_ZEROES: zeroes are written by deallocating', async () => {
    const machine = await withDevice([0x8086, 0x0a53]);
    const from = mark(machine);
    await machine.disk('nvme0n1').writeZeroes(0, 64 * KIB);
    expect(opcodes(machine, from)).toEqual([OPC_DSM]);
    const plain = await withDevice(PLAIN);
    const after = mark(plain);
    await plain.disk('nvme0n1').writeZeroes(0, 64 * KIB);
    expect(opcodes(plain, after)).toEqual([OPC_WRITE_ZEROES]);
  });

  // @acceptance 28
  it('IDENTIFY_CNS: a controller of NVMe 1.1 is asked for nothing but CNS 0 and 1', async () => {
    const machine = await withDevice([0x8086, 0x5845], { version: '1.1' });
    expect(new Set(identified(machine))).toEqual(new Set([0, 1]));
    await machine.disk('nvme0n1').write(0, pattern(4 * KIB));
    const plain = await withDevice(PLAIN, { version: '1.1' });
    expect(new Set(identified(plain))).toEqual(new Set([0, 1, 2]));
  });

  // @acceptance 29
  it.each([
    ['1c58:0003', [0x1c58, 0x0003]],
    ['1c5f:0540', [0x1c5f, 0x0540]],
  ] as const)(
    'DELAY_BEFORE_CHK_RDY (%s): 2.3 s pass between CC.EN = 0 and the first look at CSTS',
    async (_, device) => {
      const wait = (machine: Machine): number => {
        const entries = machine.trace.entries.filter(({ symbol }) => symbol === 'mmio_read' || symbol === 'mmio_write');
        const disabled = entries.findIndex(({ symbol, args }) => symbol === 'mmio_write' && args[0] === CC);
        const looked = entries.slice(disabled).find(({ symbol, args }) => symbol === 'mmio_read' && args[0] === CSTS);
        return (looked?.startNs as number) - (entries[disabled]?.startNs as number);
      };
      expect(wait(await withDevice(device))).toBeGreaterThanOrEqual(2.3 * SECOND_NS);
      expect(wait(await withDevice(PLAIN))).toBeLessThan(0.01 * SECOND_NS);
    },
  );

  it('NO_DEEPEST_PS: the controller does not go to its last power state by itself', async () => {
    const powerStates = [
      { maxPower: 800, entryLatencyUs: 0, exitLatencyUs: 0 },
      { maxPower: 50, entryLatencyUs: 100, exitLatencyUs: 200, nonOperational: true },
      { maxPower: 3, entryLatencyUs: 2000, exitLatencyUs: 4000, nonOperational: true },
    ];
    const deepest = async (device: readonly [number, number]): Promise<number> => {
      const machine = await withDevice(device, { powerStates, apst: true }, { trace: 'off' });
      await machine.disk('nvme0n1').read(0, 4 * KIB);
      expect(controller(machine).powerState).toBe(0);
      await machine.run(10 * SECOND_NS);
      const idle = controller(machine).powerState;
      // It wakes for the next command, which is answered.
      await machine.disk('nvme0n1').read(0, 4 * KIB);
      expect(controller(machine).powerState).toBe(0);
      return idle;
    };
    expect(await deepest(PLAIN)).toBe(2);
    expect(await deepest([0x2646, 0x2262])).toBe(1);
  });

  it('QDEPTH_ONE and SINGLE_VECTOR: one command at a time, one vector for every queue', async () => {
    const machine = await withDevice([0x106b, 0x2001]);
    expect(machine.queues('nvme0').map(({ vector, depth }) => [vector, depth])).toEqual([
      [0, 32],
      [0, 2],
    ]);
    expect(machine.procfs.read('/proc/interrupts')).toContain('nvme0q0, nvme0q1\n');
    await machine.disk('nvme0n1').write(0, pattern(MIB));
    expect(firstDifference(await machine.disk('nvme0n1').read(0, MIB), pattern(MIB))).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('SHARED_TAGS, 128_BYTES_SQES, SKIP_CID_GEN: one queue of wide entries, whose identifiers are tags of their own', async () => {
    const machine = await withDevice([0x106b, 0x2005], { sqEntryBytes: 128, msixVectors: 9, version: '1.1' });
    expect(machine.queues('nvme0').length).toBe(2);
    const disk = machine.disk('nvme0n1');
    for (let round = 0; round < 3; round++) {
      await Promise.all([0, 1, 2, 3].map((at) => disk.write(at * 64 * KIB, pattern(64 * KIB, at + round))));
    }
    for (let at = 0; at < 4; at++)
      expect(firstDifference(await disk.read(at * 64 * KIB, 64 * KIB), pattern(64 * KIB, at + 2))).toBe(-1);
    // The first 32 are the admin queue's; none counts its uses.
    expect(Math.min(...identifiers(machine))).toBeGreaterThanOrEqual(32);
    expect(Math.max(...identifiers(machine))).toBeLessThan(1024);
    expect(await leftBehind(machine)).toEqual([]);
    const plain = await withDevice(PLAIN);
    expect(Math.max(...identifiers(plain))).toBeGreaterThanOrEqual(0x1000);
  });

  it('SHARED_TAGS: queues are never too shallow for the tags that are set apart', async () => {
    const machine = await machineWith({ pci: { vendorId: 0x106b, deviceId: 0x2005 }, sqEntryBytes: 128 });
    await machine.modprobe('nvme', { io_queue_depth: 16 });
    expect(log(machine)).toContain('nvme nvme0: IO queue depth clamped to 34');
    expect(machine.queues('nvme0')[1]?.depth).toBe(34);
  });

  it('MEDIUM_PRIO_SQ: submission queues are created with medium priority', async () => {
    const machine = await withDevice([0x8086, 0xf1a5]);
    expect(new Set(events(machine, 'pci_nvme_create_sq').map(([, , , flags]) => flags))).toEqual(
      new Set([1 | (2 << 1)]),
    );
    const plain = await withDevice(PLAIN);
    expect(new Set(events(plain, 'pci_nvme_create_sq').map(([, , , flags]) => flags))).toEqual(new Set([1]));
  });

  it('NO_TEMP_THRESH_CHANGE: temperature limits cannot be written', async () => {
    const machine = await withDevice([0x8086, 0xf1a5]);
    const limit = `${CTRL}/hwmon0/temp1_max`;
    expect(await codeOf(machine.sysfs.write(limit, '60000'))).toBe('EACCES');
    const plain = await withDevice(PLAIN);
    expect(await codeOf(plain.sysfs.write(limit, '60000'))).toBe(null);
  });

  it('NO_SECONDARY_TEMP_THRESH: sensors beside the composite temperature have no limits', async () => {
    // TST1 of the SMART log: 310 K.
    const faults = {
      faults: [{ kind: 'corrupt', command: 'getLogPage', lid: 2, offsetBytes: 200, replace: [0x36, 1] }],
    };
    const files = async (device: readonly [number, number]): Promise<string[]> => {
      const machine = await withDevice(device, { faults } as Nvme);
      expect(await machine.sysfs.cat(`${CTRL}/hwmon0/temp2_input`)).toBe('36850\n');
      return machine.sysfs.list(`${CTRL}/hwmon0`).filter((name) => /^temp[12]_m/.test(name));
    };
    for (const device of [
      [0x2646, 0x5013],
      [0x1fa0, 0x2283],
    ] as const)
      expect(await files(device)).toEqual(['temp1_max', 'temp1_min']);
    expect(await files(PLAIN)).toEqual(['temp1_max', 'temp1_min', 'temp2_max', 'temp2_min']);
  });

  it('DISABLE_WRITE_ZEROES: zeroes are not left to the controller', async () => {
    const machine = await withDevice([0x1cc4, 0x6303]);
    expect(machine.sysfs.read(`${QUEUE}/write_zeroes_max_bytes`)).toBe('0\n');
    const plain = await withDevice(PLAIN);
    expect(plain.sysfs.read(`${QUEUE}/write_zeroes_max_bytes`)).not.toBe('0\n');
  });

  it('IGNORE_DEV_SUBNQN: the subsystem is named after its identity', async () => {
    const machine = await withDevice([0x1344, 0x5407], { serial: 'S1', model: 'M1' });
    expect(machine.sysfs.read(`${CTRL}/subsysnqn`)).toContain('nqn.2014.08.org.nvmexpress:13441af4S1');
    const plain = await withDevice(PLAIN, { serial: 'S1' });
    expect(plain.sysfs.read(`${CTRL}/subsysnqn`)).toBe('nqn.2019-08.org.qemu:S1\n');
  });

  it('BOGUS_NID: identifiers of namespaces count for nothing', async () => {
    const namespaces = [{ sizeMiB: 8, uuid: UUID }];
    const machine = await withDevice([0x1987, 0x5012], { namespaces });
    expect(machine.sysfs.read('/sys/block/nvme0n1/wwid')).toMatch(/^nvme\.1987-/);
    expect(log(machine)).toContain('nvme nvme0: Ignoring bogus Namespace Identifiers');
    const plain = await withDevice(PLAIN, { namespaces });
    expect(plain.sysfs.read('/sys/block/nvme0n1/wwid')).toBe(`uuid.${UUID}\n`);
  });

  it('NO_NS_DESC_LIST: descriptors of namespaces are not asked for', async () => {
    expect(identified(await withDevice([0x126f, 0x2263]))).not.toContain(3);
    expect(identified(await withDevice(PLAIN))).toContain(3);
  });

  it('DMA_ADDRESS_BITS_48: the device is given addresses of 48 bits', async () => {
    const mask = (machine: Machine): string => machine.sysfs.read(`/sys/bus/pci/devices/${NVME_BDF}/dma_mask_bits`);
    expect(mask(await withDevice([0x1d0f, 0x8061]))).toBe('48\n');
    expect(mask(await withDevice(PLAIN))).toBe('64\n');
  });

  it('BROKEN_MSI: such a device gets its pin rather than messages of that kind', async () => {
    const usesPin = (machine: Machine): boolean =>
      /IO-APIC.*nvme0q0/.test(machine.procfs.read('/proc/interrupts').replaceAll('\n', ' \n'));
    expect(usesPin(await withDevice([0x15b7, 0x5008], { interrupts: 'msi' }))).toBe(true);
    expect(usesPin(await withDevice(PLAIN, { interrupts: 'msi' }))).toBe(false);
  });

  it('DMAPOOL_ALIGN_512: short lists begin at multiples of 512', async () => {
    const lists = async (device: readonly [number, number]): Promise<number[]> => {
      const machine = await withDevice(device, { sgl: false, latency: { kind: 'fixed', writeNs: 1e6 } });
      const disk = machine.disk('nvme0n1');
      await Promise.all([0, 1, 2, 3].map((at) => disk.write(at * 16 * KIB, pattern(16 * KIB))));
      return events(machine, 'pci_nvme_map_prp').flatMap(([, length, , prp2]) =>
        length === 16384 ? [prp2 as number] : [],
      );
    };
    expect((await lists([0x1217, 0x8760])).filter((address) => address % 512 !== 0)).toEqual([]);
    expect((await lists(PLAIN)).filter((address) => address % 512 !== 0).length).toBeGreaterThan(0);
  });

  it('PM1725: a device that reports queues of one entry gets queues of 64', async () => {
    const faults = new Faults();
    Object.assign(faults, {
      register: (offset: number, value: number, isWrite: boolean) =>
        offset === 0 && !isWrite ? (value & ~0xffff) >>> 0 : value,
    });
    const machine = await withDevice([0x144d, 0xa821], {}, {}, faults);
    expect(log(machine)).toContain('nvme nvme0: detected PM1725 NVMe controller, set queue depth=64');
    expect(
      new Set(
        machine
          .queues('nvme0')
          .slice(1)
          .map(({ depth }) => depth),
      ),
    ).toEqual(new Set([64]));
  });
});

describe('the table of autonomous power states', () => {
  it('leads each state to the next deeper one that is quick enough, after a time that its latency earns', async () => {
    const machine = await withDevice(PLAIN, {
      apst: true,
      powerStates: [
        { maxPower: 900, entryLatencyUs: 0, exitLatencyUs: 0 },
        { maxPower: 500, entryLatencyUs: 0, exitLatencyUs: 0 },
        { maxPower: 50, entryLatencyUs: 1000, exitLatencyUs: 9000, nonOperational: true },
        { maxPower: 5, entryLatencyUs: 2000, exitLatencyUs: 40000, nonOperational: true },
        { maxPower: 1, entryLatencyUs: 5000, exitLatencyUs: 500000, nonOperational: true },
      ],
    });
    const data = new Uint8Array(256);
    const argument = { opcode: 0x0a, cdw10: 0x0c, data, result: 0 };
    expect(await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, argument)).toBe(0);
    expect(argument.result).toBe(1);
    const view = new DataView(data.buffer);
    const entries = [0, 1, 2, 3, 4].map((state) => {
      const word = view.getUint32(8 * state, true);
      return [(word >>> 3) & 0x1f, word >>> 8];
    });
    // Primary tolerance 15 ms after 100 ms, secondary 100 ms after 2 s; the last state is too slow for either.
    expect(entries).toEqual([
      [2, 100],
      [2, 100],
      [3, 2000],
      [0, 0],
      [0, 0],
    ]);
  });
});
