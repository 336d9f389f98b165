import type { KernelProfile } from '@nvme-stack/kernel';
import {
  NVME_CMD_EFFECTS_CCC,
  NVME_CMD_EFFECTS_CSE_MASK,
  NVME_CMD_EFFECTS_CSUPP,
  NVME_CMD_EFFECTS_NIC,
} from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { type Bench, bench } from './fixtures/ioctl-bench.js';
import {
  NVME_IOCTL_ADMIN_CMD,
  NVME_IOCTL_ADMIN64_CMD,
  NVME_IOCTL_ID,
  NVME_IOCTL_IO_CMD,
  NVME_IOCTL_IO64_CMD,
  NVME_IOCTL_IO64_CMD_VEC,
  NVME_IOCTL_RESCAN,
  NVME_IOCTL_RESET,
  NVME_IOCTL_SUBSYS_RESET,
  type NvmePassthruCmd,
} from './ports.js';
import type { TinyControllerOptions } from './testing.js';

describe('somebody without CAP_SYS_ADMIN', () => {
  const identify = (cdw10: number): NvmePassthruCmd => ({ opcode: 6, nsid: 1, cdw10, data: new Uint8Array(4096) });
  const io = (opcode: number): NvmePassthruCmd => ({ opcode, nsid: 1, data: new Uint8Array(512) });
  const somebody = { sysAdmin: false };

  async function opened(options: Partial<TinyControllerOptions> = {}, profile: KernelProfile = '6.12'): Promise<Bench> {
    const made = await bench(options, profile);
    for (const path of ['/dev/nvme0', '/dev/nvme0n1', '/dev/ng0n1']) {
      if (made.machine.deviceCore.listNodes().includes(path.slice(5))) made.machine.deviceCore.chmodNode(path, 0o666);
    }
    return made;
  }

  it('cannot open a node but by its mode', async () => {
    const { ioctl, machine } = await bench();
    await expect(ioctl('/dev/ng0n1', NVME_IOCTL_ID, null, somebody)).rejects.toMatchObject({ code: 'EACCES' });
    machine.deviceCore.chmodNode('/dev/ng0n1', 0o644);
    await expect(ioctl('/dev/ng0n1', NVME_IOCTL_ID, null, somebody)).rejects.toMatchObject({ code: 'EACCES' });
    expect(await ioctl('/dev/ng0n1', NVME_IOCTL_ID, null, { ...somebody, write: false })).toBe(1);
  });

  it.each([0, 1, 5, 6, 8])('may identify what I/O needs (CNS %i)', async (cns) => {
    const { ioctl } = await opened();
    await expect(ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, identify(cns), somebody)).resolves.toBeTypeOf('number');
  });

  it.each([
    ['a list of namespaces', '/dev/nvme0', NVME_IOCTL_ADMIN_CMD, identify(2)],
    ['a log page', '/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 2, cdw10: 2, data: new Uint8Array(512) }],
    ['a feature', '/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 10, cdw10: 7 }],
    ['a vendor’s command', '/dev/ng0n1', NVME_IOCTL_IO_CMD, io(0x81)],
    ['a fabrics command', '/dev/ng0n1', NVME_IOCTL_IO_CMD, io(0x7f)],
    ['a command the effects log does not have', '/dev/ng0n1', NVME_IOCTL_IO_CMD, io(5)],
    ['a reset', '/dev/nvme0', NVME_IOCTL_RESET, null],
    ['a subsystem reset', '/dev/nvme0', NVME_IOCTL_SUBSYS_RESET, null],
    ['a scan', '/dev/nvme0', NVME_IOCTL_RESCAN, null],
  ])('may not have %s', async (_what, path, command, argument) => {
    const { ioctl, transport } = await opened();
    await expect(ioctl(path, command, argument, somebody)).rejects.toMatchObject({ code: 'EACCES' });
    expect(transport.sent).toEqual([]);
  });

  it('may read, and write where the node is open for writing', async () => {
    const { ioctl } = await opened();
    const readOnly = { ...somebody, write: false };
    expect(await ioctl('/dev/ng0n1', NVME_IOCTL_IO_CMD, io(2), readOnly)).toBe(0);
    expect(await ioctl('/dev/ng0n1', NVME_IOCTL_IO_CMD, io(1), somebody)).toBe(0);
    await expect(ioctl('/dev/ng0n1', NVME_IOCTL_IO_CMD, io(1), readOnly)).rejects.toMatchObject({ code: 'EACCES' });
    const zeroes = { opcode: 8, nsid: 1 };
    await expect(ioctl('/dev/ng0n1', NVME_IOCTL_IO_CMD, zeroes, readOnly)).rejects.toMatchObject({ code: 'EACCES' });
    expect(await ioctl('/dev/ng0n1', NVME_IOCTL_IO_CMD, io(1), { write: false })).toBe(0);
  });

  it('may not send what has effects beyond the blocks', async () => {
    const { ioctl, machine } = await opened({ ioEffects: { 2: NVME_CMD_EFFECTS_CSUPP | NVME_CMD_EFFECTS_NIC } });
    await expect(ioctl('/dev/ng0n1', NVME_IOCTL_IO_CMD, io(2), somebody)).rejects.toMatchObject({ code: 'EACCES' });
    expect(machine.dmesg()).toContain('nvme nvme0: IO command:02 has unusual effects:00000009');
  });

  it('could send nothing before 6.2', async () => {
    const { ioctl } = await opened({}, '6.1');
    for (const [path, command, argument] of [
      ['/dev/nvme0', NVME_IOCTL_ADMIN_CMD, identify(1)],
      ['/dev/ng0n1', NVME_IOCTL_IO_CMD, io(2)],
    ] as const)
      await expect(ioctl(path, command, argument, somebody)).rejects.toMatchObject({ code: 'EACCES' });
  });
});

describe('a command’s effects', () => {
  const CAPABILITIES = 'nvme nvme0: controller capabilities changed, reset may be required to take effect.';

  it('have the namespaces scanned before the ioctl returns', async () => {
    const { ioctl, transport, machine } = await bench({ adminEffects: { 192: NVME_CMD_EFFECTS_NIC } });
    transport.intercept = ({ words }) => ((words[0] & 0xff) === 0xc0 ? { status: 0 } : undefined);
    transport.controller.namespaces.push({ nsid: 2, blocks: 8 });
    await ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 0xc0 });
    expect(machine.core.controllers[0].namespaces.map(({ nsid }) => nsid)).toEqual([1, 2]);
  });

  it('hold back all I/O while the command runs', async () => {
    const { ioctl, transport, machine } = await bench({ adminEffects: { 192: NVME_CMD_EFFECTS_CSE_MASK } });
    let frozen = -1;
    transport.intercept = ({ words }) => {
      if ((words[0] & 0xff) !== 0xc0) return undefined;
      frozen = machine.blkMq.disks[0].queue.frozen ? 1 : 0;
      return { status: 0 };
    };
    await ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 0xc0 });
    expect(frozen).toBe(1);
    expect(machine.blkMq.disks[0].queue.frozen).toBe(false);
    expect(await ioctl('/dev/ng0n1', NVME_IOCTL_IO_CMD, { opcode: 2, nsid: 1, data: new Uint8Array(512) })).toBe(0);
  });

  it('on capabilities are told once', async () => {
    const { ioctl, transport, machine } = await bench({ adminEffects: { 192: NVME_CMD_EFFECTS_CCC } });
    transport.intercept = ({ words }) => ((words[0] & 0xff) === 0xc0 ? { status: 0 } : undefined);
    await ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 0xc0 });
    await ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 0xc0 });
    expect(machine.dmesg().filter((line) => line === CAPABILITIES).length).toBe(1);
    expect(transport.story().filter((line) => line === 'identify 1')).toEqual([]);
  });

  it('on capabilities had the controller identified again before 6.2', async () => {
    const { ioctl, transport, machine } = await bench({ adminEffects: { 192: NVME_CMD_EFFECTS_CCC } }, '6.1');
    transport.intercept = ({ words }) => ((words[0] & 0xff) === 0xc0 ? { status: 0 } : undefined);
    await ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 0xc0 });
    expect(transport.story()).toContain('identify 1');
    expect(machine.dmesg()).not.toContain(CAPABILITIES);
  });
});

describe('the ioctls of 4.13', () => {
  const profile = '4.13';
  const read = (nsid = 1): NvmePassthruCmd => ({ opcode: 2, nsid, data: new Uint8Array(512) });

  it('know neither 64-bit results nor lists of buffers, nor a character device of a namespace', async () => {
    const { ioctl, machine } = await bench({}, profile);
    expect(machine.deviceCore.listNodes()).not.toContain('ng0n1');
    expect(await ioctl('/dev/nvme0n1', NVME_IOCTL_IO_CMD, read())).toBe(0);
    for (const [path, command] of [
      ['/dev/nvme0', NVME_IOCTL_ADMIN64_CMD],
      ['/dev/nvme0n1', NVME_IOCTL_IO64_CMD],
      ['/dev/nvme0n1', NVME_IOCTL_IO64_CMD_VEC],
    ] as const)
      await expect(ioctl(path, command, read())).rejects.toMatchObject({ code: 'ENOTTY' });
  });

  it('take whatever namespace an administrator names, and let anybody who can open the node have a scan', async () => {
    const { ioctl, machine } = await bench({ namespaces: [1, 2].map((nsid) => ({ nsid, blocks: 8 })) }, profile);
    expect(await ioctl('/dev/nvme0n1', NVME_IOCTL_IO_CMD, read(2))).toBe(0);
    machine.deviceCore.chmodNode('/dev/nvme0', 0o666);
    machine.deviceCore.chmodNode('/dev/nvme0n1', 0o666);
    const somebody = { sysAdmin: false };
    await expect(ioctl('/dev/nvme0n1', NVME_IOCTL_IO_CMD, read(), somebody)).rejects.toMatchObject({ code: 'EACCES' });
    expect(await ioctl('/dev/nvme0', NVME_IOCTL_RESCAN, null, somebody)).toBe(0);
  });

  it('look at no effects', async () => {
    const { ioctl, transport, machine } = await bench({ adminEffects: { 192: NVME_CMD_EFFECTS_NIC } }, profile);
    transport.intercept = ({ words }) => ((words[0] & 0xff) === 0xc0 ? { status: 0 } : undefined);
    transport.controller.namespaces.push({ nsid: 2, blocks: 8 });
    await ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 0xc0 });
    await machine.door.settle(1e9);
    expect(machine.core.controllers[0].namespaces.map(({ nsid }) => nsid)).toEqual([1]);
  });
});
