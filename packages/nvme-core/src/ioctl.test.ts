import { NvmeIdCtrl } from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { createTestMachine, type TestMachine } from './fixtures/test-machine.js';
import {
  NVME_IOCTL_ADMIN_CMD,
  NVME_IOCTL_ID,
  NVME_IOCTL_IO_CMD,
  NVME_IOCTL_RESCAN,
  NVME_IOCTL_RESET,
  NVME_IOCTL_SUBMIT_IO,
  NVME_IOCTL_SUBSYS_RESET,
  type NvmePassthruCmd,
} from './ports.js';
import type { FakeNvmeTransport } from './testing.js';

async function bench(): Promise<{
  machine: TestMachine;
  transport: FakeNvmeTransport;
  ioctl: (path: string, command: number, argument?: unknown) => Promise<number>;
}> {
  const machine = createTestMachine();
  const transport = machine.transport({ namespaces: [{ nsid: 1, blocks: 64 }] });
  await machine.run(async () => {
    await machine.core.nvmeCoreInit({});
    await transport.probe();
  });
  await machine.door.settle(1e9);
  transport.sent.length = 0;
  const ioctl = (path: string, command: number, argument: unknown = null) =>
    machine.run(async () => {
      const file = await machine.deviceCore.open(path, { write: true });
      try {
        return await machine.deviceCore.ioctl(file, command, argument);
      } finally {
        await machine.deviceCore.close(file);
      }
    });
  return { machine, transport, ioctl };
}

describe('admin passthrough', () => {
  // @acceptance 43
  it('reaches the admin queue and brings the data back', async () => {
    const { transport, ioctl, machine } = await bench();
    const free = machine.kernel.memory.freePageCount;
    const data = new Uint8Array(4096);
    expect(await ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 6, cdw10: 1, data })).toBe(0);
    expect(NvmeIdCtrl.decode(data).sn).toBe('LAB0001             ');
    expect(transport.story()).toEqual(['identify 1']);
    expect(machine.kernel.memory.freePageCount).toBe(free);
  });

  it('gives the result and, for a refused command, its status', async () => {
    const { ioctl } = await bench();
    const get: NvmePassthruCmd = { opcode: 10, cdw10: 11 };
    expect(await ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, get)).toBe(0);
    expect(get.result).toBe(0x100);
    expect(await ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 0xc1 })).toBe(0x4001);
  });

  it('carries the caller’s data to the controller', async () => {
    const { ioctl, transport } = await bench();
    const data = new Uint8Array(512).fill(0x5a);
    await ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 9, cdw10: 0x16, data });
    expect(transport.controller.features.get(0x16)?.data).toEqual(data);
  });

  it('refuses what is no command, or larger than the controller takes', async () => {
    const { ioctl } = await bench();
    await expect(ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, null)).rejects.toMatchObject({ code: 'EFAULT' });
    await expect(ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 300 })).rejects.toMatchObject({ code: 'EINVAL' });
    const data = new Uint8Array((512 << 10) + 512);
    await expect(ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 2, data })).rejects.toMatchObject({
      code: 'EINVAL',
    });
    await expect(ioctl('/dev/nvme0', 0x1234)).rejects.toMatchObject({ code: 'ENOTTY' });
  });
});

describe('a namespace’s nodes', () => {
  it('tell its id', async () => {
    const { ioctl } = await bench();
    expect(await ioctl('/dev/ng0n1', NVME_IOCTL_ID)).toBe(1);
    expect(await ioctl('/dev/nvme0n1', NVME_IOCTL_ID)).toBe(1);
  });

  it('send I/O commands for that namespace only', async () => {
    const { ioctl, transport } = await bench();
    const data = new Uint8Array(512).fill(3);
    expect(await ioctl('/dev/ng0n1', NVME_IOCTL_IO_CMD, { opcode: 1, nsid: 1, cdw10: 5, data })).toBe(0);
    expect(transport.controller.blocks.get(1)?.[5 * 512]).toBe(3);
    await expect(ioctl('/dev/ng0n1', NVME_IOCTL_IO_CMD, { opcode: 1, nsid: 2, data })).rejects.toMatchObject({
      code: 'EINVAL',
    });
    const back = new Uint8Array(512);
    expect(await ioctl('/dev/ng0n1', NVME_IOCTL_SUBMIT_IO, { opcode: 2, slba: 5, nblocks: 0, data: back })).toBe(0);
    expect(back).toEqual(data);
  });

  it('report an LBA out of range with type, code and DNR', async () => {
    const { ioctl } = await bench();
    expect(
      await ioctl('/dev/ng0n1', NVME_IOCTL_IO_CMD, { opcode: 2, nsid: 1, cdw10: 64, data: new Uint8Array(512) }),
    ).toBe(0x4080);
  });
});

describe('controller ioctls', () => {
  it('reset and rescan', async () => {
    const { ioctl, transport, machine } = await bench();
    await ioctl('/dev/nvme0', NVME_IOCTL_RESET);
    expect(transport.story()[0]).toBe('identify 1');
    await machine.door.settle(1e9);
    transport.sent.length = 0;
    await ioctl('/dev/nvme0', NVME_IOCTL_RESCAN);
    await machine.door.settle(1e9);
    expect(transport.story().slice(0, 2)).toEqual(['identify 6', 'identify 2']);
  });

  it('have no subsystem reset where CAP.NSSRS is 0', async () => {
    const { ioctl } = await bench();
    await expect(ioctl('/dev/nvme0', NVME_IOCTL_SUBSYS_RESET)).rejects.toMatchObject({ code: 'ENOTTY' });
  });
});
