import { type KernelProfile, sleepNs } from '@nvme-stack/kernel';
import { NVME_PS_FLAGS_NON_OP_STATE, NVME_REG_CSTS, NvmeFwSlotInfoLog } from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { createTestMachine, type TestMachine } from './fixtures/test-machine.js';
import { NVME_IOCTL_ADMIN_CMD } from './ports.js';
import type { FakeNvmeTransport, TinyControllerOptions } from './testing.js';

async function probed(
  identify: TinyControllerOptions['identify'],
  params: Record<string, number | boolean | string> = {},
  namespaces = [{ nsid: 1, blocks: 64 }],
  profile: KernelProfile = '6.12',
): Promise<{ machine: TestMachine; transport: FakeNvmeTransport }> {
  const machine = createTestMachine({ profile });
  const transport = machine.transport({ namespaces, identify });
  await machine.run(async () => {
    await machine.core.nvmeCoreInit(params);
    await transport.probe();
  });
  await machine.door.settle(1e9);
  return { machine, transport };
}

/** Entries of the transition table: idle milliseconds and target, by state. */
function transitions(transport: FakeNvmeTransport): (readonly [ms: number, state: number])[] {
  const words = new Uint32Array((transport.controller.features.get(0x0c)?.data ?? new Uint8Array(256)).slice().buffer);
  return [0, 1, 2, 3, 4].map((state) => [words[2 * state] >>> 8, (words[2 * state] >>> 3) & 31] as const);
}

const OPERATIONAL = { flags: 0, entryLat: 0, exitLat: 0 };
const idle = (entryLat: number, exitLat: number) => ({ flags: NVME_PS_FLAGS_NON_OP_STATE, entryLat, exitLat });
const SSD = { apsta: 1, npss: 4, psd: [OPERATIONAL, OPERATIONAL, OPERATIONAL, idle(2000, 3000), idle(20000, 40000)] };

describe('autonomous power state transitions', () => {
  it('go to a quick state soon and to a slow one later', async () => {
    const { transport } = await probed(SSD);
    expect(transport.controller.features.get(0x0c)?.dword11).toBe(1);
    expect(transitions(transport)).toEqual([
      [100, 3],
      [100, 3],
      [100, 3],
      [2000, 4],
      [0, 0],
    ]);
  });

  it('leave out states slower than the tolerance, and are off when it is 0', async () => {
    const { transport } = await probed(SSD, { default_ps_max_latency_us: 5000 });
    expect(transitions(transport)[3]).toEqual([0, 0]);
    const off = await probed(SSD, { default_ps_max_latency_us: 0 });
    expect(off.transport.controller.features.get(0x0c)?.dword11).toBe(0);
  });

  it('wait fifty times the latency when there is no primary time-out', async () => {
    const { transport } = await probed(SSD, { apst_primary_timeout_ms: 0 });
    expect(transitions(transport)[3]).toEqual([Math.floor(60019 / 20), 4]);
  });

  it('are not spoken of to a controller without them', async () => {
    const { transport } = await probed({});
    expect(transport.controller.features.has(0x0c)).toBe(false);
  });
});

describe('shutdown time', () => {
  it('is what the controller asks for, within reason', async () => {
    for (const [rtd3e, seconds] of [
      [0, 5],
      [8_000_000, 8],
      [500_000_000, 60],
    ]) {
      const { transport, machine } = await probed({ rtd3e });
      expect(transport.ctrl.shutdownTimeoutNs).toBe(seconds * 1e9);
      const line = `nvme nvme0: D3 entry latency set to ${seconds} seconds`;
      expect(machine.dmesg().includes(line)).toBe(seconds !== 5);
    }
  });
});

describe('shutdown time of older kernels', () => {
  it.each([
    ['6.1', 8, 'nvme nvme0: Shutdown timeout set to 8 seconds'],
    ['4.13', 5, null],
    ['4.10', 5, null],
  ] as const)('has its own line, or is the parameter’s (%s)', async (profile, seconds, line) => {
    const { transport, machine } = await probed({ rtd3e: 8_000_000 }, {}, undefined, profile);
    expect(transport.ctrl.shutdownTimeoutNs).toBe(seconds * 1e9);
    expect(machine.dmesg().filter((one) => / seconds$/.test(one))).toEqual(line === null ? [] : [line]);
  });
});

describe('keep alive', () => {
  it('starts when it is set by passthrough, and beats twice per time-out', async () => {
    const { machine, transport } = await probed({ kas: 1 });
    transport.intercept = ({ words }) => ((words[0] & 0xff) === 0x18 ? { status: 0 } : undefined);
    await machine.run(async () => {
      const file = await machine.deviceCore.open('/dev/nvme0', { write: true });
      await machine.deviceCore.ioctl(file, NVME_IOCTL_ADMIN_CMD, { opcode: 9, cdw10: 0x0f, cdw11: 4000 });
      await machine.deviceCore.close(file);
    });
    transport.sent.length = 0;
    await machine.run(() => sleepNs(machine.core, 9e9));
    expect(transport.sent.filter(({ words }) => (words[0] & 0xff) === 0x18).length).toBe(4);
    await machine.run(() => transport.remove());
  });
});

describe('firmware activation', () => {
  it('pauses I/O until the controller goes on, and takes the new revision', async () => {
    const { machine, transport } = await probed({ oaes: (1 << 8) | (1 << 9) });
    let pausedReads = 3;
    const { read32 } = transport.controller;
    transport.controller.read32 = (offset) => {
      const value = read32.call(transport.controller, offset);
      return offset === NVME_REG_CSTS && pausedReads-- > 0 ? value | (1 << 5) : value;
    };
    const slots = NvmeFwSlotInfoLog.encode({ afi: 2, frs2: 'NEW 2.0 ' });
    transport.intercept = ({ words }) =>
      (words[0] & 0xff) === 2 && (words[10] & 0xff) === 3 ? { data: slots } : undefined;
    await machine.run(async () => machine.core.nvmeCompleteAsyncEvent(transport.ctrl, 0, 2 | (1 << 8) | (3 << 16)));
    await machine.door.settle(1e9);
    expect(machine.deviceCore.sysfs.read('/sys/class/nvme/nvme0/firmware_rev')).toBe('NEW 2.0 \n');
    expect(machine.deviceCore.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    expect(transport.asyncEvents).toBe(2);
  });
});

describe('limits', () => {
  it('come from MDTS, the write cache and Dataset Management', async () => {
    const { machine } = await probed({});
    const { limits } = machine.blkMq.disks[0].queue;
    expect(limits.maxHwSectors).toBe(1024);
    expect(limits.virtBoundaryMask).toBe(4095);
    expect([limits.writeCache, limits.fua]).toEqual([true, true]);
    expect(limits.maxDiscardSectors).toBe(0xffffffff);
    expect(limits.maxWriteZeroesSectors).toBe(1024);
    const bare = await probed({ vwc: 0, oncs: 0, mdts: 5 });
    const lesser = bare.machine.blkMq.disks[0].queue.limits;
    expect(lesser.maxHwSectors).toBe(256);
    expect([lesser.writeCache, lesser.fua, lesser.maxDiscardSectors, lesser.maxWriteZeroesSectors]).toEqual([
      false,
      false,
      0,
      0,
    ]);
  });
});
