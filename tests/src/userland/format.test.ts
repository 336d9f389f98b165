import { type Machine, NVME_IOCTL_ADMIN_CMD, NVME_IOCTL_RESCAN } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';
import { KIB, running } from '../features/bench.js';

const FORMAT_4K = { opcode: 0x80, nsid: 1, cdw10: 4 };

function blockSize(machine: Machine): string {
  return machine.sysfs.read('/sys/block/nvme0n1/queue/logical_block_size').trim();
}

describe('Format NVM from userland', () => {
  it.each(['6.12', '6.1'] as const)('changes the disk before the ioctl returns (%s)', async (profile) => {
    const machine = await running({}, { profile });
    await machine.disk('nvme0n1').write(0, new Uint8Array(4 * KIB).fill(7));
    expect(blockSize(machine)).toBe('512');
    expect(await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, FORMAT_4K)).toBe(0);
    expect(blockSize(machine)).toBe('4096');
    const disk = machine.disk('nvme0n1');
    expect(disk.blockSizeBytes).toBe(4096);
    expect(await disk.read(0, 4 * KIB)).toEqual(new Uint8Array(4 * KIB));
  });

  // To the same format: I/O let go again before the scan would use the old one, here as in Linux.
  it('waits for I/O under way, and holds back what comes', async () => {
    const machine = await running({ latency: { kind: 'fixed', readNs: 2e6, adminNs: 5e6 } }, { trace: 'full' });
    const disk = machine.disk('nvme0n1');
    const before = disk.read(0, 4 * KIB);
    const format = machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { ...FORMAT_4K, cdw10: 0 });
    await before;
    const after = disk.read(4 * KIB, 4 * KIB);
    expect(await format).toBe(0);
    expect((await after).length).toBe(4 * KIB);
    const order = machine.trace.entries
      .filter(({ symbol, kind }) => kind === 'nvme' && (symbol === 'nvme_setup_cmd' || symbol === 'nvme_complete_rq'))
      .flatMap(({ symbol, text }) => {
        if (symbol === 'nvme_setup_cmd') return /cmd=\((nvme_admin_format_nvm|nvme_cmd_read)/.exec(text)?.[1] ?? [];
        return text.includes('qid=0') ? [] : 'done';
      });
    // The partition scan's reads come first.
    expect(order.slice(order.lastIndexOf('nvme_admin_format_nvm') - 2)).toEqual([
      'nvme_cmd_read',
      'done',
      'nvme_admin_format_nvm',
      'nvme_cmd_read',
      'done',
    ]);
  });

  it('is not noticed by 4.13 before a scan', async () => {
    const machine = await running({}, { profile: '4.13' });
    await machine.settle();
    expect(await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, FORMAT_4K)).toBe(0);
    await machine.settle();
    expect(blockSize(machine)).toBe('512');
    await machine.ioctl('/dev/nvme0', NVME_IOCTL_RESCAN, null);
    await machine.settle();
    expect(blockSize(machine)).toBe('4096');
  });
});
