import { describe, expect, it } from 'vitest';
import {
  createMachine,
  type Machine,
  NVME_IOCTL_ADMIN_CMD,
  NVME_IOCTL_ID,
  NVME_IOCTL_IO_CMD,
  NVME_IOCTL_IO64_CMD_VEC,
  NVME_IOCTL_RESET,
  NVME_IOCTL_SUBMIT_IO,
  type NvmePassthruCmd,
  replay,
} from './index.js';

async function loaded(): Promise<Machine> {
  const machine = await createMachine({ nvme: [{ namespaces: [{ sizeMiB: 8 }] }] });
  await machine.modprobe('nvme');
  return machine;
}

const identify = (): NvmePassthruCmd & { readonly data: Uint8Array } => ({
  opcode: 0x06,
  cdw10: 1,
  data: new Uint8Array(4096),
});

describe('machine.ioctl', () => {
  it('sends a command, fills its buffer and its result, and gives its status', async () => {
    const machine = await loaded();
    const command = identify();
    expect(await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, command)).toBe(0);
    expect(String.fromCharCode(...command.data.subarray(24, 38))).toBe('QEMU NVMe Ctrl');
    const queues: NvmePassthruCmd = { opcode: 0x0a, cdw10: 7 };
    expect(await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, queues)).toBe(0);
    expect(queues.result).toBe(0x003f003f);
    // Invalid Field in Command, do not retry.
    expect(await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 0x0a, cdw10: 0xff })).toBe(0x4002);
  });

  it('writes and reads blocks past the block layer', async () => {
    const machine = await loaded();
    const data = new Uint8Array(1024).fill(0x3c);
    const write = { opcode: 1, nsid: 1, cdw10: 16, cdw12: 1, data };
    expect(await machine.ioctl('/dev/ng0n1', NVME_IOCTL_IO_CMD, write)).toBe(0);
    expect(await machine.disk('nvme0n1').read(16 * 512, 1024)).toEqual(data);
    const pieces = [new Uint8Array(24), new Uint8Array(1000)];
    const read = { opcode: 2, nsid: 1, cdw10: 16, cdw12: 1, data: pieces };
    expect(await machine.ioctl('/dev/ng0n1', NVME_IOCTL_IO64_CMD_VEC, read)).toBe(0);
    expect(pieces.flatMap((piece) => [...piece])).toEqual([...data]);
    const back = new Uint8Array(512);
    const submit = { opcode: 2, slba: 17, nblocks: 0, data: back };
    expect(await machine.ioctl('/dev/nvme0n1', NVME_IOCTL_SUBMIT_IO, submit)).toBe(0);
    expect(back).toEqual(data.subarray(0, 512));
  });

  it('says in one sentence what is wrong', async () => {
    const machine = await loaded();
    const call = (path: string, argument: object) =>
      machine.ioctl(path, NVME_IOCTL_IO_CMD, argument as NvmePassthruCmd).catch((error: unknown) => error);
    expect(await call('/dev/nvme7', identify())).toMatchObject({ code: 'ENOENT' });
    expect(await call('/dev/ng0n1', { opcode: 2, nsid: 3 })).toMatchObject({
      code: 'EINVAL',
      message: expect.stringContaining('nsid: 3, this is namespace 1'),
    });
    expect(await call('/dev/ng0n1', { opcode: 2, nsid: 1, data: [1, 2] })).toMatchObject({
      code: 'EFAULT',
      message: expect.stringContaining('data must be a Uint8Array'),
    });
  });

  it('speaks for somebody without privileges too', async () => {
    const machine = await loaded();
    const somebody = { sysAdmin: false };
    await expect(machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, identify(), somebody)).rejects.toMatchObject({
      code: 'EACCES',
    });
    await machine.chmod('/dev/nvme0', 0o666);
    expect(await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, identify(), somebody)).toBe(0);
    await expect(machine.ioctl('/dev/nvme0', NVME_IOCTL_RESET, null, somebody)).rejects.toMatchObject({
      code: 'EACCES',
    });
    await expect(machine.chmod('/dev/nvme0', 0o1777)).rejects.toMatchObject({ code: 'EINVAL' });
  });

  it('does not let a partition’s node reach beyond it without privileges', async () => {
    const machine = await loaded();
    const table = new Uint8Array(512);
    table.set([0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0], 450);
    table.set([0x55, 0xaa], 510);
    await machine.disk('nvme0n1').write(0, table);
    await machine.rmmod('nvme');
    await machine.modprobe('nvme');
    await machine.chmod('/dev/nvme0n1p1', 0o666);
    await machine.chmod('/dev/nvme0n1', 0o666);
    const read = () => ({ opcode: 2, nsid: 1, data: new Uint8Array(512) });
    const somebody = { sysAdmin: false };
    expect(await machine.ioctl('/dev/nvme0n1', NVME_IOCTL_IO_CMD, read(), somebody)).toBe(0);
    await expect(machine.ioctl('/dev/nvme0n1p1', NVME_IOCTL_IO_CMD, read(), somebody)).rejects.toMatchObject({
      code: 'EACCES',
    });
    expect(await machine.ioctl('/dev/nvme0n1p1', NVME_IOCTL_IO_CMD, read())).toBe(0);
    expect(await machine.ioctl('/dev/nvme0n1p1', NVME_IOCTL_ID, null, somebody)).toBe(1);
  });

  it('replays as it was called, whatever became of the caller’s buffers', async () => {
    const machine = await loaded();
    const data = new Uint8Array(512).fill(1);
    await machine.ioctl('/dev/ng0n1', NVME_IOCTL_IO_CMD, { opcode: 1, nsid: 1, data });
    data.fill(2);
    await machine.sysfs.cat('/sys/class/hwmon/hwmon0/temp1_input');
    const again = await replay(machine.journal());
    expect(again.trace.hash()).toBe(machine.trace.hash());
    expect((await again.disk('nvme0n1').read(0, 512))[0]).toBe(1);
  });
});
