import { NvmeIdCtrl } from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { bench } from './fixtures/ioctl-bench.js';
import {
  NVME_CTRL_RESETTING,
  NVME_IOCTL_ADMIN_CMD,
  NVME_IOCTL_ADMIN64_CMD,
  NVME_IOCTL_ID,
  NVME_IOCTL_IO_CMD,
  NVME_IOCTL_IO64_CMD,
  NVME_IOCTL_IO64_CMD_VEC,
  NVME_IOCTL_RESCAN,
  NVME_IOCTL_RESET,
  NVME_IOCTL_SUBMIT_IO,
  NVME_IOCTL_SUBSYS_RESET,
  type NvmePassthruCmd,
  type NvmeUserIo,
} from './ports.js';

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

  it('goes through a namespace’s nodes as well', async () => {
    const { ioctl } = await bench();
    for (const path of ['/dev/nvme0n1', '/dev/ng0n1'])
      expect(await ioctl(path, NVME_IOCTL_ADMIN_CMD, { opcode: 6, cdw10: 1, data: new Uint8Array(4096) })).toBe(0);
  });

  it('gives the result and, for a refused command, its status', async () => {
    const { ioctl } = await bench();
    const get: NvmePassthruCmd = { opcode: 10, cdw10: 11 };
    expect(await ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, get)).toBe(0);
    expect(get.result).toBe(0x100);
    expect(await ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 0xc1 })).toBe(0x4001);
  });

  it('gives 64 bits of result where they are asked for', async () => {
    const { ioctl, transport } = await bench();
    transport.intercept = () => ({ status: 0, result: 7, resultHi: 9 });
    const narrow: NvmePassthruCmd = { opcode: 10 };
    const wide: NvmePassthruCmd = { opcode: 10 };
    await ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, narrow);
    await ioctl('/dev/nvme0', NVME_IOCTL_ADMIN64_CMD, wide);
    expect([narrow.result, narrow.resultHi, wide.result, wide.resultHi]).toEqual([7, undefined, 7, 9]);
  });

  it('carries the caller’s data to the controller', async () => {
    const { ioctl, transport } = await bench();
    const data = new Uint8Array(512).fill(0x5a);
    await ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 9, cdw10: 0x16, data });
    expect(transport.controller.features.get(0x16)?.data).toEqual(data);
  });

  it('leaves bytes alone that the controller did not write', async () => {
    const { ioctl, transport } = await bench();
    transport.intercept = () => ({ status: 0, data: Uint8Array.of(1, 2) });
    const data = new Uint8Array(8).fill(9);
    await ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 2, data });
    expect([...data]).toEqual([1, 2, 9, 9, 9, 9, 9, 9]);
  });

  it('times out after the caller’s time, not the queue’s', async () => {
    const { ioctl, transport, machine } = await bench();
    transport.intercept = ({ words }) => ((words[0] & 0xff) === 0xc0 ? 'hold' : undefined);
    const start = machine.kernel.ex.now();
    const call = ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 0xc0, timeoutMs: 2000 });
    await machine.run(async () => {});
    expect(transport.sent.map(({ words }) => words[0] & 0xff)).toEqual([0xc0]);
    await expect(call).rejects.toMatchObject({ code: 'EINTR' });
    const seconds = (machine.kernel.ex.now() - start) / 1e9;
    expect(seconds).toBeGreaterThanOrEqual(2);
    expect(seconds).toBeLessThan(60);
  });
});

describe('bad input', () => {
  const large = new Uint8Array((512 << 10) + 512);
  const few = new Uint8Array(512);
  const many = Array.from({ length: 1025 }, () => new Uint8Array(1));
  it.each<[string, number, unknown, string, string]>([
    ['/dev/nvme0', NVME_IOCTL_ADMIN_CMD, null, 'EFAULT', 'an object with an opcode'],
    ['/dev/nvme0', NVME_IOCTL_ADMIN_CMD, {}, 'EFAULT', 'an object with an opcode'],
    ['/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 6, data: [1] }, 'EFAULT', 'data must be a Uint8Array'],
    ['/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 6, flags: 1 }, 'EINVAL', 'flags: 1, only 0 is allowed'],
    ['/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 300 }, 'EINVAL', '300'],
    ['/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 6, cdw10: -1 }, 'EINVAL', '-1'],
    ['/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 6, timeoutMs: -1 }, 'EINVAL', 'timeoutMs: -1'],
    ['/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 2, data: large }, 'EINVAL', 'at most 524288 are allowed'],
    ['/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 2, data: few, metadata: few }, 'EINVAL', 'none is allowed'],
    ['/dev/nvme0', 0x1234, {}, 'ENOTTY', '0x1234'],
    ['/dev/nvme0', NVME_IOCTL_IO64_CMD, { opcode: 2 }, 'ENOTTY', '0xc0504e48'],
    ['/dev/ng0n1', NVME_IOCTL_IO_CMD, { opcode: 2, nsid: 2 }, 'EINVAL', 'nsid: 2, this is namespace 1'],
    ['/dev/ng0n1', NVME_IOCTL_IO_CMD, { opcode: 2, nsid: 1, data: few, metadata: few }, 'EINVAL', 'none is allowed'],
    ['/dev/ng0n1', NVME_IOCTL_IO64_CMD, { opcode: 2, nsid: 1, data: [large] }, 'EFAULT', 'must be a Uint8Array'],
    ['/dev/ng0n1', NVME_IOCTL_IO64_CMD_VEC, { opcode: 2, nsid: 1, data: large }, 'EFAULT', 'a list of Uint8Array'],
    ['/dev/ng0n1', NVME_IOCTL_IO64_CMD_VEC, { opcode: 2, nsid: 1, data: many }, 'EINVAL', 'at most 1024'],
    ['/dev/ng0n1', NVME_IOCTL_SUBMIT_IO, null, 'EFAULT', 'must be an object'],
    ['/dev/ng0n1', NVME_IOCTL_SUBMIT_IO, { opcode: 9, slba: 0, nblocks: 0, data: large }, 'EINVAL', 'opcode: 9'],
    ['/dev/ng0n1', NVME_IOCTL_SUBMIT_IO, { opcode: 2, flags: 4, slba: 0, nblocks: 0 }, 'EINVAL', 'flags: 4'],
    ['/dev/ng0n1', NVME_IOCTL_SUBMIT_IO, { opcode: 2, slba: 0, nblocks: 1, data: many[0] }, 'EFAULT', '1024 bytes'],
    ['/dev/ng0n1', NVME_IOCTL_RESET, null, 'ENOTTY', '0x4e44'],
    ['/dev/nvme0n1', NVME_IOCTL_RESCAN, null, 'ENOTTY', '0x4e46'],
  ])('%s 0x%x %j is refused', async (path, command, argument, code, sentence) => {
    const { ioctl, transport } = await bench();
    const error = await ioctl(path, command, argument).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code });
    expect(String(error)).toContain(sentence);
    expect(transport.sent).toEqual([]);
  });

  it('of another namespace’s id is logged with the caller’s name', async () => {
    const { ioctl, machine } = await bench();
    await expect(ioctl('/dev/ng0n1', NVME_IOCTL_IO_CMD, { opcode: 2, nsid: 2 })).rejects.toThrow('nsid: 2');
    expect(machine.dmesg()).toContain('nvme nvme0: test: nsid (2) in cmd does not match nsid (1) of namespace');
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
    const back = new Uint8Array(512);
    expect(await ioctl('/dev/ng0n1', NVME_IOCTL_SUBMIT_IO, { opcode: 2, slba: 5, nblocks: 0, data: back })).toBe(0);
    expect(back).toEqual(data);
  });

  it('gather and scatter a list of buffers', async () => {
    const { ioctl, transport } = await bench();
    const pieces = [100, 0, 412].map((length, i) => new Uint8Array(length).fill(i + 1));
    const write = { opcode: 1, nsid: 1, cdw10: 3, data: pieces };
    expect(await ioctl('/dev/ng0n1', NVME_IOCTL_IO64_CMD_VEC, write)).toBe(0);
    const block = transport.controller.blocks.get(1)?.subarray(3 * 512, 4 * 512) as Uint8Array;
    expect([block[0], block[99], block[100], block[511]]).toEqual([1, 1, 3, 3]);
    const back = [new Uint8Array(300), new Uint8Array(212)];
    expect(await ioctl('/dev/ng0n1', NVME_IOCTL_IO64_CMD_VEC, { opcode: 2, nsid: 1, cdw10: 3, data: back })).toBe(0);
    expect([back[0][99], back[0][100], back[1][211]]).toEqual([1, 3, 3]);
  });

  it('report an LBA out of range with type, code and DNR', async () => {
    const { ioctl } = await bench();
    expect(
      await ioctl('/dev/ng0n1', NVME_IOCTL_IO_CMD, { opcode: 2, nsid: 1, cdw10: 64, data: new Uint8Array(512) }),
    ).toBe(0x4080);
  });
});

describe('metadata', () => {
  const PRACT = 1 << 13;
  const format = (flbas: number) => ({
    namespaces: [{ nsid: 1, blocks: 64, identify: { flbas, dps: 1, lbaf: [{ ms: 8, ds: 9, rp: 0 }] } }],
  });
  const read = (more: Partial<NvmeUserIo>): NvmeUserIo => ({
    opcode: 2,
    slba: 0,
    nblocks: 0,
    data: new Uint8Array(520),
    ...more,
  });

  it('needs a buffer of its own where it lies apart, and none where the controller makes it', async () => {
    const { ioctl, transport } = await bench(format(0));
    await expect(ioctl('/dev/ng0n1', NVME_IOCTL_SUBMIT_IO, read({}))).rejects.toThrow('8 bytes, aligned to 4');
    const skewed = new Uint8Array(16).subarray(1, 9);
    await expect(ioctl('/dev/ng0n1', NVME_IOCTL_SUBMIT_IO, read({ metadata: skewed }))).rejects.toThrow('aligned');
    const both = read({ control: PRACT, metadata: new Uint8Array(8) });
    await expect(ioctl('/dev/ng0n1', NVME_IOCTL_SUBMIT_IO, both)).rejects.toThrow('none is allowed with PRACT');
    expect(await ioctl('/dev/ng0n1', NVME_IOCTL_SUBMIT_IO, read({ control: PRACT }))).toBe(0);
    expect(transport.sent.map(({ lengthBytes }) => lengthBytes)).toEqual([512]);
  });

  it('lengthens the data where it follows each block', async () => {
    const { ioctl, transport } = await bench(format(0x10));
    await ioctl('/dev/ng0n1', NVME_IOCTL_SUBMIT_IO, read({}));
    expect(transport.sent.map(({ lengthBytes }) => lengthBytes)).toEqual([520]);
  });

  it('is passed in a buffer of its own, copied both ways', async () => {
    const { ioctl, transport } = await bench(format(0));
    const metadata = new Uint8Array(12).fill(9);
    const more = { opcode: 2, nsid: 1, data: new Uint8Array(512), metadata };
    expect(await ioctl('/dev/ng0n1', NVME_IOCTL_IO_CMD, more)).toBe(0);
    expect([...metadata]).toEqual(new Array(12).fill(0xff));
    metadata.fill(9);
    expect(await ioctl('/dev/ng0n1', NVME_IOCTL_SUBMIT_IO, read({ metadata }))).toBe(0);
    // One block has eight bytes.
    expect([...metadata]).toEqual([...new Array(8).fill(0xff), 9, 9, 9, 9]);
    const short = read({ metadata: new Uint8Array(4) });
    await expect(ioctl('/dev/ng0n1', NVME_IOCTL_SUBMIT_IO, short)).rejects.toThrow('4 bytes, 8 are needed');
    expect(transport.sent).toHaveLength(2);
  });

  it('is ignored with a command without data', async () => {
    const { ioctl } = await bench();
    const metadata = new Uint8Array(8).fill(9);
    expect(await ioctl('/dev/ng0n1', NVME_IOCTL_IO_CMD, { opcode: 0, nsid: 1, metadata })).toBe(0);
    expect([...metadata]).toEqual(new Array(8).fill(9));
  });
});

describe('controller ioctls', () => {
  it('reset and rescan', async () => {
    const { ioctl, transport, machine } = await bench();
    await ioctl('/dev/nvme0', NVME_IOCTL_RESET);
    expect(machine.dmesg()).toContain('nvme nvme0: resetting controller');
    expect(transport.story()[0]).toBe('identify 1');
    await machine.door.settle(1e9);
    transport.sent.length = 0;
    await ioctl('/dev/nvme0', NVME_IOCTL_RESCAN);
    await machine.door.settle(1e9);
    expect(transport.story().slice(0, 2)).toEqual(['identify 6', 'identify 2']);
  });

  it('fail with EBUSY during a reset, and with ENETRESET when it leaves no live controller', async () => {
    const { machine, transport } = await bench();
    await machine.run(async () => {
      const file = await machine.deviceCore.open('/dev/nvme0', { write: true });
      expect(machine.core.nvmeChangeCtrlState(transport.ctrl, NVME_CTRL_RESETTING)).toBe(true);
      await expect(machine.deviceCore.ioctl(file, NVME_IOCTL_RESET, null)).rejects.toMatchObject({ code: 'EBUSY' });
      await expect(machine.deviceCore.open('/dev/nvme0', { write: true })).rejects.toMatchObject({ code: 'EAGAIN' });
      await machine.deviceCore.close(file);
    });
    const second = await bench();
    second.transport.ctrl.resetWork = second.machine.workqueues.initWork(
      'nvme_reset_work',
      second.machine,
      async () => {},
    );
    await expect(second.ioctl('/dev/nvme0', NVME_IOCTL_RESET)).rejects.toMatchObject({ code: 'ENETRESET' });
  });

  it('have no subsystem reset where CAP.NSSRS is 0', async () => {
    const { ioctl } = await bench();
    await expect(ioctl('/dev/nvme0', NVME_IOCTL_SUBSYS_RESET)).rejects.toMatchObject({ code: 'ENOTTY' });
  });

  it('speak for the only namespace, and say that this is of old', async () => {
    const { ioctl, machine } = await bench();
    const read = () => ({ opcode: 2, nsid: 1, data: new Uint8Array(512) });
    expect(await ioctl('/dev/nvme0', NVME_IOCTL_IO_CMD, read())).toBe(0);
    expect(machine.dmesg()).toContain('nvme nvme0: using deprecated NVME_IOCTL_IO_CMD ioctl on the char device!');
    const none = await bench({ namespaces: [] });
    await expect(none.ioctl('/dev/nvme0', NVME_IOCTL_IO_CMD, read())).rejects.toMatchObject({ code: 'ENOTTY' });
    const two = await bench({ namespaces: [1, 2].map((nsid) => ({ nsid, blocks: 8 })) });
    await expect(two.ioctl('/dev/nvme0', NVME_IOCTL_IO_CMD, read())).rejects.toMatchObject({ code: 'EINVAL' });
    expect(two.machine.dmesg()).toContain(
      'nvme nvme0: NVME_IOCTL_IO_CMD not supported when multiple namespaces present!',
    );
  });
});
