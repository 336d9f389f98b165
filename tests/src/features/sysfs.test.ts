import { describe, expect, it } from 'vitest';
import { leftBehind, NVME_BDF, pattern, running } from './bench.js';

/** Checks `name value` lines under a directory. */
type Files = Readonly<Record<string, string | RegExp>>;

const CTRL: Files = {
  address: '0000:00:03.0\n',
  cntlid: '0\n',
  cntrltype: 'io\n',
  dctype: 'none\n',
  firmware_rev: '7.2.22  \n',
  kato: '0\n',
  model: 'QEMU NVMe Ctrl                          \n',
  numa_node: '-1\n',
  queue_count: '3\n',
  serial: 'golden              \n',
  sqsize: '1023\n',
  state: 'live\n',
  subsysnqn: 'nqn.2019-08.org.qemu:golden\n',
  transport: 'pcie\n',
};

/** As Linux shows QEMU's controller of 7.2 (mdts 7); max_segments and max_integrity_segments are 6.12's. */
const QUEUE: Files = {
  add_random: '0\n',
  chunk_sectors: '0\n',
  dax: '0\n',
  discard_granularity: '512\n',
  discard_max_bytes: '2147483136\n',
  discard_max_hw_bytes: '2147483136\n',
  discard_zeroes_data: '0\n',
  dma_alignment: '3\n',
  fua: '1\n',
  hw_sector_size: '512\n',
  io_poll: '0\n',
  io_timeout: '30000\n',
  iostats: '1\n',
  logical_block_size: '512\n',
  max_discard_segments: '256\n',
  max_hw_sectors_kb: '512\n',
  max_integrity_segments: '1\n',
  max_sectors_kb: '512\n',
  max_segment_size: '4294967295\n',
  max_segments: '128\n',
  minimum_io_size: '512\n',
  nomerges: '0\n',
  nr_requests: '1023\n',
  nr_zones: '0\n',
  optimal_io_size: '512\n',
  physical_block_size: '512\n',
  read_ahead_kb: '128\n',
  rotational: '0\n',
  rq_affinity: '1\n',
  scheduler: '[none] mq-deadline \n',
  stable_writes: '0\n',
  virt_boundary_mask: '4095\n',
  write_cache: 'write back\n',
  write_zeroes_max_bytes: '524288\n',
  zoned: 'none\n',
};

const DISK: Files = {
  size: '16384\n',
  ro: '0\n',
  removable: '0\n',
  nsid: '1\n',
  dev: /^259:0\n$/,
  ext_range: '256\n',
  hidden: '0\n',
  'mq/0/cpu_list': '0\n',
  'mq/0/nr_tags': '1023\n',
  'mq/1/cpu_list': '1\n',
};

const PCI: Files = {
  class: '0x010802\n',
  vendor: '0x1b36\n',
  device: '0x0010\n',
  subsystem_vendor: '0x1af4\n',
  subsystem_device: '0x1100\n',
  revision: '0x02\n',
  enable: '1\n',
  power_state: 'D0\n',
  dma_mask_bits: '64\n',
  modalias: 'pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02\n',
  local_cpulist: '0-1\n',
  driver_override: '(null)\n',
  msi_bus: '1\n',
  resource: /^0x[0-9a-f]{16} 0x[0-9a-f]{16} 0x0000000000140204\n/,
};

const CORE_PARAMS: Files = {
  admin_timeout: '60\n',
  default_ps_max_latency_us: '100000\n',
  io_timeout: '30\n',
  max_retries: '5\n',
  shutdown_timeout: '5\n',
};

describe('sysfs', () => {
  it.each<[string, Files]>([
    ['/sys/class/nvme/nvme0', CTRL],
    ['/sys/block/nvme0n1', DISK],
    ['/sys/block/nvme0n1/queue', QUEUE],
    [`/sys/bus/pci/devices/${NVME_BDF}`, PCI],
    ['/sys/module/nvme/parameters', { io_queue_depth: '1024\n', poll_queues: '0\n', write_queues: '0\n' }],
    ['/sys/module/nvme_core/parameters', CORE_PARAMS],
    ['/sys/class/nvme-subsystem/nvme-subsys0', { subsystype: 'nvm\n', subsysnqn: 'nqn.2019-08.org.qemu:golden\n' }],
    [
      '/sys/class/nvme/nvme0/hwmon0',
      {
        name: 'nvme\n',
        temp1_label: 'Composite\n',
        temp1_input: '49850\n',
        temp1_max: '69850\n',
        temp1_crit: '99850\n',
        temp1_alarm: '0\n',
      },
    ],
  ])('shows %s as Linux does', async (directory, files) => {
    const machine = await running({ serial: 'golden', subsystemNqn: 'nqn.2019-08.org.qemu:golden' }, { cpus: 2 });
    for (const [name, wanted] of Object.entries(files)) {
      const text = machine.sysfs.read(`${directory}/${name}`);
      if (typeof wanted === 'string') expect(text, name).toBe(wanted);
      else expect(text, name).toMatch(wanted);
    }
  });

  it('links the controller, its function, its driver and its module', async () => {
    const machine = await running({}, { cpus: 2 });
    const pci = `/sys/bus/pci/devices/${NVME_BDF}`;
    expect(machine.sysfs.readlink(`${pci}/driver`)).toMatch(/bus\/pci\/drivers\/nvme$/);
    expect(machine.sysfs.readlink('/sys/bus/pci/drivers/nvme/module')).toMatch(/module\/nvme$/);
    expect(machine.sysfs.readlink(`/sys/bus/pci/drivers/nvme/${NVME_BDF}`)).toMatch(new RegExp(`${NVME_BDF}$`));
    expect(machine.sysfs.readlink('/sys/class/nvme/nvme0/device')).toMatch(new RegExp(`${NVME_BDF}$`));
    expect(machine.sysfs.readlink('/sys/class/nvme/nvme0/subsystem')).toMatch(/class\/nvme$/);
    expect(machine.sysfs.list(`${pci}/msi_irqs`).length).toBe(3);
    for (const irq of machine.sysfs.list(`${pci}/msi_irqs`))
      expect(machine.sysfs.read(`${pci}/msi_irqs/${irq}`)).toBe('msix\n');
    await machine.rmmod('nvme');
    expect(machine.sysfs.exists('/sys/bus/pci/drivers/nvme')).toBe(false);
    expect(machine.sysfs.exists('/sys/module/nvme')).toBe(false);
    expect(machine.sysfs.exists(`${pci}/msi_irqs`)).toBe(false);
    expect(machine.sysfs.read(`${pci}/enable`)).toBe('0\n');
  });

  it('takes module parameters while the module is loaded; a reset applies them', async () => {
    const machine = await running({}, { cpus: 4 });
    await machine.sysfs.write('/sys/module/nvme/parameters/write_queues', '1');
    expect(machine.sysfs.read('/sys/module/nvme/parameters/write_queues')).toBe('1\n');
    await expect(machine.sysfs.write('/sys/module/nvme/parameters/io_queue_depth', '1')).rejects.toMatchObject({
      code: 'EINVAL',
    });
    await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    expect(machine.dmesg().at(-1)).toMatch(/1\/3\/0 default\/read\/poll queues$/);
    await machine.disk('nvme0n1').write(0, pattern(65536));
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('/proc', () => {
  it('tells of the disk, the BAR, the modules and the devices', async () => {
    const machine = await running({}, { cpus: 2 });
    expect(machine.procfs.read('/proc/partitions')).toBe(
      'major minor  #blocks  name\n\n 259        0       8192 nvme0n1\n',
    );
    expect(machine.procfs.read('/proc/iomem')).toMatch(
      /^ {2}([0-9a-f]+)-([0-9a-f]+) : 0000:00:03\.0\n {4}\1-\2 : nvme$/m,
    );
    expect(machine.procfs.read('/proc/modules')).toMatch(
      /^nvme \d+ \d+ - Live 0x0{16}\nnvme_core \d+ \d+ nvme, Live 0x0{16}\n$/,
    );
    expect(machine.procfs.read('/proc/devices')).toMatch(/^\d+ nvme$/m);
    await machine.disk('nvme0n1').write(0, pattern(4096));
    const stat = machine.procfs.read('/proc/diskstats').trim().split(/\s+/);
    expect(stat.slice(0, 3)).toEqual(['259', '0', 'nvme0n1']);
    expect([stat[7], stat[9]]).toEqual(['1', '8']);
    await machine.rmmod('nvme');
    expect(machine.procfs.read('/proc/partitions')).toBe('');
    expect(machine.procfs.read('/proc/iomem')).not.toContain('nvme');
    expect(machine.procfs.read('/proc/modules')).toMatch(/^nvme_core \d+ 0 - Live 0x0{16}\n$/);
  });
});
