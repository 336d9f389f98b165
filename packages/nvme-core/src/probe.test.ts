import { NVME_REG_CC, NvmeFeatHostBehavior } from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { createTestMachine, type TestMachine } from './fixtures/test-machine.js';
import {
  NVME_CTRL_CONNECTING,
  NVME_CTRL_DEAD,
  NVME_CTRL_LIVE,
  NVME_CTRL_RESETTING,
  NVME_QUIRK_BOGUS_NID,
} from './ports.js';
import type { FakeNvmeTransport } from './testing.js';

const ONE = [{ nsid: 1, blocks: 2048 }];

async function probed(options = {}, namespaces = ONE): Promise<{ machine: TestMachine; transport: FakeNvmeTransport }> {
  const machine = createTestMachine(options);
  const transport = machine.transport({ namespaces });
  await machine.run(async () => {
    await machine.core.nvmeCoreInit({});
    await transport.probe();
  });
  await machine.door.settle(1e9);
  return { machine, transport };
}

/** Whether `part` occurs in `whole` in order. */
function isSubsequence(part: readonly string[], whole: readonly string[]): boolean {
  let at = 0;
  for (const line of whole) if (line === part[at]) at++;
  return at === part.length;
}

const SYNC = ['__nvme_submit_sync_cmd', 'nvme_init_request', 'blk_execute_rq'];

describe('starting a controller', () => {
  it('writes CC twice, first without EN', async () => {
    const { transport } = await probed();
    const cc = transport.controller.writes.filter(({ offset }) => offset === NVME_REG_CC).map(({ value }) => value);
    expect(cc).toEqual([0, 0x460060, 0x460061]);
  });

  it('sends the admin commands Linux 6.12 sends, in its order', async () => {
    const { transport } = await probed();
    expect(transport.story()).toEqual([
      'identify 1',
      'log 5',
      'set 14',
      'set 22',
      'log 2',
      'set 7',
      'set 11',
      'identify 6',
      'identify 2',
      'identify 3',
      'identify 0',
      'identify 0',
      'identify 5',
    ]);
    expect(transport.asyncEvents).toBe(1);
  });

  it('gives each command the buffer Linux gives it', async () => {
    const { transport } = await probed();
    const sizes = transport.sent.filter(({ qid }) => qid === 0).map(({ lengthBytes }) => lengthBytes);
    expect(sizes).toEqual([4096, 4096, 8, 512, 512, 0, 0, 4096, 4096, 4096, 4096, 4096, 4096]);
  });

  it('counts the uses of a tag in bits 15:12 of the CID', async () => {
    const { transport } = await probed();
    const cids = transport.sent.slice(0, 3).map(({ words }) => words[0] >>> 16);
    expect(cids.map((cid) => cid >>> 12)).toEqual([0, 1, 2]);
    expect(new Set(cids.map((cid) => cid & 0xfff)).size).toBe(1);
  });

  it('sets the time of day and extended LBA formats', async () => {
    const { transport } = await probed({ bootTimeMs: 1_800_000_000_123 });
    const stamp = transport.controller.features.get(0x0e)?.data as Uint8Array;
    const ms = stamp.reduceRight((sum, byte) => sum * 256 + byte, 0);
    expect(ms).toBeGreaterThanOrEqual(1_800_000_000_123);
    expect(ms).toBeLessThan(1_800_000_001_123);
    const host = NvmeFeatHostBehavior.decode(transport.controller.features.get(0x16)?.data as Uint8Array);
    expect([host.acre, host.lbafee]).toEqual([0, 1]);
    expect(transport.controller.features.get(0x0b)?.dword11).toBe(0x100);
  });

  it('announces the functions that did the work, as the captured call graph has them', async () => {
    const { machine } = await probed();
    const all = machine.kernel.trace.entries.filter(({ kind }) => kind === 'function').map(({ symbol }) => symbol);
    const golden = [
      'nvme_init_ctrl',
      'nvme_add_ctrl',
      'cdev_device_add',
      'nvme_class_uevent',
      'nvme_set_latency_tolerance',
      'nvme_disable_ctrl',
      'nvme_wait_ready',
      'nvme_enable_ctrl',
      'nvme_wait_ready',
      'nvme_alloc_admin_tag_set',
      'blk_mq_alloc_tag_set',
      'blk_mq_update_queue_map',
      'blk_mq_alloc_queue',
      'blk_mq_init_allocated_queue',
      'nvme_change_ctrl_state',
      'nvme_init_ctrl_finish',
      'nvme_init_identify',
      'nvme_identify_ctrl',
      ...SYNC,
      '__nvme_check_ready',
      'nvme_get_effects_log',
      ...SYNC,
      'nvme_configure_apst',
      ...SYNC,
      ...SYNC,
      'nvme_hwmon_init',
      'nvme_get_log',
      ...SYNC,
      'nvme_set_queue_count',
      ...SYNC,
      'nvme_alloc_io_tag_set',
      'blk_mq_alloc_tag_set',
      'nvme_change_ctrl_state',
      'nvme_kick_requeue_lists',
      'nvme_start_ctrl',
      ...SYNC,
      'queue_work_on',
      'queue_work_on',
      'nvme_class_uevent',
      'flush_work',
    ];
    expect(isSubsequence(golden, all)).toBe(true);
  });

  it('scans as the captured call graph has it', async () => {
    const { machine } = await probed();
    expect(
      machine.tree('nvme_scan_work').filter((line) => !line.includes('blk') && !line.includes('nvme_setup')),
    ).toEqual([
      'nvme_scan_work',
      '  __nvme_submit_sync_cmd',
      '    nvme_init_request',
      '  nvme_scan_ns_list',
      '    __nvme_submit_sync_cmd',
      '      nvme_init_request',
      '    async_schedule_node_domain',
      '      __async_schedule_node_domain',
      '    nvme_remove_nsid_range',
      '    async_synchronize_full_domain',
      '      async_synchronize_cookie_domain',
    ]);
    const tree = machine
      .tree('nvme_scan_ns_async')
      .filter((line) => /^ {2,8}nvme|blk_mq_alloc_disk|mq_freeze_queue|device_add_disk|cdev_device_add/.test(line));
    const golden = [
      '  nvme_scan_ns',
      '    nvme_identify_ns_descs',
      '    nvme_identify_ns',
      '    nvme_find_get_ns',
      '    nvme_alloc_ns',
      '      __blk_mq_alloc_disk',
      '      nvme_subsys_check_duplicate_ids',
      '      nvme_update_ns_info',
      '        nvme_update_ns_info_block',
      '          blk_mq_freeze_queue',
      '            blk_mq_freeze_queue_wait',
      '      device_add_disk',
      '      nvme_cdev_add',
      '        cdev_device_add',
    ];
    expect(isSubsequence(golden, tree)).toBe(true);
    const opened = machine.kernel.trace.entries.map(({ symbol }) => symbol);
    expect(isSubsequence(['device_add_disk', 'nvme_open', 'nvme_ns_open', 'nvme_release'], opened)).toBe(true);
  });

  it('runs the same in strict mode, without a trace, and again', async () => {
    const hashes = [];
    for (const options of [{}, {}, { strict: true }, { trace: 'hash' as const }]) {
      hashes.push((await probed(options)).machine.kernel.trace.hash());
    }
    expect(new Set(hashes).size).toBe(1);
  });

  // @acceptance 43
  it('survives every order of what is ready', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const { machine, transport } = await probed({ interleave: true, seed }, [...ONE, { nsid: 2, blocks: 64 }]);
      expect(machine.deviceCore.listNodes().sort()).toEqual(['ng0n1', 'ng0n2', 'nvme0', 'nvme0n1', 'nvme0n2']);
      await machine.run(() => transport.remove());
      expect(machine.deviceCore.listNodes()).toEqual([]);
    }
  });
});

describe('a controller that does not become ready', () => {
  it('fails with ENODEV after CAP.TO and says so', async () => {
    const machine = createTestMachine();
    const transport = machine.transport({ namespaces: [] });
    transport.controller.responsive = false;
    const failure = machine.run(async () => {
      await machine.core.nvmeCoreInit({});
      await transport.probe();
    });
    await expect(failure).rejects.toMatchObject({ code: 'ENODEV' });
    expect(machine.dmesg()).toContain('nvme nvme0: Device not ready; aborting initialisation, CSTS=0x0');
    expect(machine.kernel.ex.now()).toBeGreaterThan(7e9);
  });
});

describe('states', () => {
  it('follow the table of 6.12', async () => {
    const { machine, transport } = await probed();
    const { core } = machine;
    await machine.run(async () => {
      expect(core.nvmeChangeCtrlState(transport.ctrl, NVME_CTRL_CONNECTING)).toBe(false);
      expect(core.nvmeChangeCtrlState(transport.ctrl, NVME_CTRL_DEAD)).toBe(false);
      expect(core.nvmeChangeCtrlState(transport.ctrl, NVME_CTRL_RESETTING)).toBe(true);
      expect(core.nvmeChangeCtrlState(transport.ctrl, NVME_CTRL_LIVE)).toBe(false);
      expect(core.nvmeChangeCtrlState(transport.ctrl, NVME_CTRL_CONNECTING)).toBe(true);
      expect(core.nvmeChangeCtrlState(transport.ctrl, NVME_CTRL_LIVE)).toBe(true);
    });
  });

  it('let a second reset wait for the first to end', async () => {
    const { machine, transport } = await probed();
    await machine.run(async () => {
      machine.core.nvmeResetCtrl(transport.ctrl);
      expect(() => machine.core.nvmeResetCtrl(transport.ctrl)).toThrow('EBUSY');
      expect(await machine.core.nvmeWaitReset(transport.ctrl)).toBe(true);
    });
  });
});

describe('reset_controller', () => {
  it('starts again without effects log and SMART log, and validates the namespaces', async () => {
    const { machine, transport } = await probed();
    transport.sent.length = 0;
    const disk = machine.blkMq.disks[0];
    await machine.run(() => machine.deviceCore.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1'));
    await machine.door.settle(1e9);
    expect(transport.story()).toEqual([
      'identify 1',
      'set 14',
      'set 22',
      'set 7',
      'set 11',
      'identify 6',
      'identify 2',
      'identify 3',
      'identify 0',
      'identify 0',
      'identify 5',
    ]);
    expect(machine.blkMq.disks).toEqual([disk]);
    expect(machine.deviceCore.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
  });
});

describe('sysfs', () => {
  it('has a controller’s files with their modes', async () => {
    const { machine } = await probed();
    const { sysfs } = machine.deviceCore;
    const at = '/sys/class/nvme/nvme0';
    const read = (name: string) => sysfs.read(`${at}/${name}`).trimEnd();
    expect(
      ['address', 'cntlid', 'cntrltype', 'dctype', 'kato', 'queue_count', 'sqsize', 'state', 'transport'].map(read),
    ).toEqual(['0000:00:04.0', '0', 'io', 'none', '0', '3', '2047', 'live', 'pcie']);
    expect(sysfs.read(`${at}/serial`)).toBe('LAB0001             \n');
    expect(sysfs.stat(`${at}/reset_controller`).mode & 0o777).toBe(0o200);
    expect(read('uevent').split('\n').slice(2)).toEqual(['DEVNAME=nvme0', 'NVME_TRTYPE=pcie']);
    expect(read('nvme0n1/wwid')).toBe('nvme.1b36-4c414230303031-54696e79204e564d65204374726c-00000001');
    expect(read('hwmon0/temp1_input')).toBe('49850');
    expect(read('hwmon0/temp1_min')).toBe('-273150');
    expect(sysfs.read('/sys/class/nvme-subsystem/nvme-subsys0/subsystype')).toBe('nvm\n');
    expect(sysfs.exists('/sys/class/nvme-subsystem/nvme-subsys0/nvme0')).toBe(true);
    expect(sysfs.exists('/sys/class/nvme-generic/ng0n1')).toBe(true);
  });

  it('sends a written temperature threshold to the controller', async () => {
    const { machine, transport } = await probed();
    await machine.run(() => machine.deviceCore.sysfs.write('/sys/class/nvme/nvme0/hwmon0/temp1_max', '79850'));
    expect(transport.controller.features.get(4)?.dword11).toBe(353);
    expect(machine.deviceCore.sysfs.read('/sys/class/nvme/nvme0/hwmon0/temp1_max')).toBe('79850\n');
  });
});

describe('identifiers', () => {
  it('name a disk by UUID, unless the quirk says they are bogus', async () => {
    const uuid = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
    for (const quirks of [0, NVME_QUIRK_BOGUS_NID]) {
      const machine = createTestMachine();
      const transport = machine.transport({ namespaces: [{ nsid: 1, blocks: 64, uuid }] });
      await machine.run(async () => {
        await machine.core.nvmeCoreInit({});
        await transport.probe(quirks);
      });
      await machine.door.settle(1e9);
      const wwid = machine.deviceCore.sysfs.read('/sys/class/nvme/nvme0/nvme0n1/wwid');
      if (quirks === 0) expect(wwid).toBe('uuid.01020304-0506-0708-090a-0b0c0d0e0f10\n');
      else expect(wwid.startsWith('nvme.1b36-')).toBe(true);
      expect(machine.dmesg().includes('nvme nvme0: Ignoring bogus Namespace Identifiers')).toBe(quirks !== 0);
    }
  });
});

describe('removal', () => {
  it('leaves nothing behind', async () => {
    const machine = createTestMachine();
    const transport = machine.transport({ namespaces: ONE });
    machine.kernel.live.baseline();
    await machine.run(async () => {
      await machine.core.nvmeCoreInit({});
      await transport.probe();
    });
    await machine.door.settle(1e9);
    await machine.run(async () => {
      await transport.remove();
      await machine.core.nvmeCoreExit();
    });
    const left = machine.kernel.live.leaks().filter(({ name }) => name !== 'kblockd' && name !== 'fake0');
    expect(left).toEqual([]);
    expect(transport.freed).toBe(true);
    expect(machine.core.controllers).toEqual([]);
    expect(machine.deviceCore.listNodes()).toEqual([]);
    expect(machine.deviceCore.sysfs.exists('/sys/class/nvme')).toBe(false);
    expect(machine.deviceCore.sysfs.exists('/sys/class/nvme-subsystem/nvme-subsys0')).toBe(false);
  });
});
