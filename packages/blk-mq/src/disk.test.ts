import { describe, expect, it } from 'vitest';
import { createTestMachine, functionTree, liveDisk, makeDisk } from './fixtures/test-machine.js';
import { REQ_OP_READ } from './ports.js';
import { RamDriver } from './testing/ram-driver.js';

describe('device_add_disk', () => {
  it('scans an unpartitioned disk by reading the pages at sectors 0, 8 and 24', async () => {
    const m = createTestMachine();
    const tree = await m.run(async () => {
      const driver = new RamDriver(m.blkMq, { sectors: 2048 });
      const { disk, parent } = await makeDisk(m, driver);
      const from = m.kernel.trace.entries.length;
      await m.blkMq.deviceAddDisk(parent, disk, []);
      expect(driver.seen.map(({ op, sector, lengthBytes }) => [op, sector, lengthBytes])).toEqual([
        [REQ_OP_READ, 0, 4096],
        [REQ_OP_READ, 8, 4096],
        [REQ_OP_READ, 24, 4096],
      ]);
      expect(disk.live).toBe(true);
      return functionTree(m.kernel, from);
    });
    const depth = (symbol: string): number => {
      const line = tree.find((l) => l.trim() === symbol) as string;
      return (line.length - line.trimStart().length) / 2;
    };
    expect(depth('blkdev_get_whole') - depth('device_add_disk')).toBe(3);
  });

  it('shows the disk in sysfs and /proc', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      await liveDisk(m, { sectors: 2048 });
    });
    const { sysfs } = m.deviceCore;
    const read = (file: string): string => sysfs.read(`/sys/block/nvme0n1/${file}`);
    expect(read('size')).toBe('2048\n');
    expect(read('dev')).toBe('259:0\n');
    expect(read('uevent')).toBe('MAJOR=259\nMINOR=0\nDEVNAME=nvme0n1\nDEVTYPE=disk\nDISKSEQ=1\n');
    expect(read('stat').slice(0, 45)).toBe('       3        0       24        0        0 ');
    expect(read('stat').trim().split(/\s+/)).toHaveLength(17);
    expect(read('queue/scheduler')).toBe('[none] mq-deadline \n');
    expect(read('queue/max_sectors_kb')).toBe('512\n');
    expect(read('queue/write_cache')).toBe('write back\n');
    expect(read('queue/max_segment_size')).toBe('4294967295\n');
    expect(read('mq/1/cpu_list')).toBe('1\n');
    expect(read('mq/0/nr_tags')).toBe('32\n');
    expect(m.kernel.procfs.read('/proc/partitions')).toBe(
      'major minor  #blocks  name\n\n 259        0       1024 nvme0n1\n',
    );
    expect(m.kernel.procfs.read('/proc/diskstats')).toMatch(/^ 259 {7}0 nvme0n1 3 0 24 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n$/);
    expect(m.deviceCore.listNodes()).toContain('nvme0n1');
  });

  it('has a backing device, and refuses what it cannot do', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      await liveDisk(m, { sectors: 2048 });
    });
    const { sysfs } = m.deviceCore;
    const write = (file: string, text: string) => m.run(() => sysfs.write(`/sys/block/nvme0n1/${file}`, text));
    expect(sysfs.readlink('/sys/class/bdi/259:0')).toBe('../../devices/virtual/bdi/259:0');
    await write('bdi/read_ahead_kb', '64');
    expect(sysfs.read('/sys/block/nvme0n1/queue/read_ahead_kb')).toBe('64\n');
    await write('bdi/max_ratio', '50');
    for (const [file, text, code] of [
      ['bdi/min_ratio', '51', 'EINVAL'],
      ['bdi/read_ahead_kb', 'much', 'EINVAL'],
      ['events_poll_msecs', '1000', 'ENODEV'],
      ['queue/io_poll', '1', 'EINVAL'],
      ['integrity/read_verify', 'yes', 'EINVAL'],
      ['integrity/format', 'none', 'EACCES'],
    ] as const)
      await expect(write(file, text)).rejects.toMatchObject({ code });
    await write('queue/rotational', '1');
    expect(sysfs.read('/sys/block/nvme0n1/queue/rotational')).toBe('1\n');
  });

  it('leaves nothing behind when it is deleted', async () => {
    const m = createTestMachine();
    await m.run(async () => m.blkMq.blkDevInit());
    m.kernel.live.baseline();
    await m.run(async () => {
      const { disk, set, parent } = await liveDisk(m, { sectors: 2048 });
      await m.blkMq.delGendisk(disk);
      m.blkMq.putDisk(disk);
      m.blkMq.blkMqFreeTagSet(set);
      await m.deviceCore.deviceDel(parent);
      m.deviceCore.putDevice(parent);
    });
    expect(m.kernel.live.leaks()).toEqual([]);
    expect(m.deviceCore.sysfs.exists('/sys/block/nvme0n1')).toBe(false);
    expect(m.deviceCore.listNodes()).toEqual([]);
  });

  it('announces a new capacity', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk } = await liveDisk(m, { sectors: 2048 });
      expect(m.blkMq.setCapacityAndNotify(disk, 2048)).toBe(false);
      expect(m.blkMq.setCapacityAndNotify(disk, 1024)).toBe(true);
    });
    expect(m.deviceCore.uevents.at(-1)).toMatchObject({ action: 'change', env: { RESIZE: '1' } });
    expect(m.kernel.printk.lines.at(-1)?.text).toBe('nvme0n1: detected capacity change from 2048 to 1024');
  });
});
