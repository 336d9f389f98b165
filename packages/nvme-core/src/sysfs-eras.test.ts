import type { KernelProfile } from '@nvme-stack/kernel';
import { describe, expect, it } from 'vitest';
import { createTestMachine } from './fixtures/test-machine.js';

/** Files of a controller and of its namespace, without directories, links and what every device has. */
async function filesOf(profile: KernelProfile): Promise<{ readonly ctrl: string[]; readonly ns: string[] }> {
  const machine = createTestMachine({ profile });
  const transport = machine.transport({ namespaces: [{ nsid: 1, blocks: 64, uuid: new Uint8Array(16).fill(7) }] });
  await machine.run(async () => {
    await machine.core.nvmeCoreInit({});
    await transport.probe();
  });
  const { sysfs } = machine.deviceCore;
  const files = (path: string): string[] =>
    sysfs.list(path).filter((name) => sysfs.stat(`${path}/${name}`).kind === 'file');
  const ns = '/sys/class/nvme/nvme0/nvme0n1';
  return { ctrl: files('/sys/class/nvme/nvme0'), ns: sysfs.exists(ns) ? files(ns) : [] };
}

const FIRST = ['cntlid', 'dev', 'firmware_rev', 'model', 'rescan_controller', 'reset_controller', 'serial'];
const LATER = ['address', 'cntrltype', 'dctype', 'kato', 'numa_node', 'queue_count', 'sqsize'];
/** Since 4.11 and 4.13. */
const NAMED = ['state', 'subsysnqn'];
const ALWAYS = [...FIRST, 'transport', 'uevent'];

describe('files of a controller', () => {
  it.each<[KernelProfile, readonly string[]]>([
    ['6.12', [...ALWAYS, ...NAMED, ...LATER, 'passthru_err_log_enabled']],
    ['6.1', [...ALWAYS, ...NAMED, ...LATER]],
    ['4.13', [...ALWAYS, ...NAMED]],
    ['4.10', ALWAYS],
  ])('of %s', async (profile, names) => {
    expect((await filesOf(profile)).ctrl).toEqual([...names].sort());
  });
});

describe('files of a namespace', () => {
  const OWN = /^(wwid|uuid|nguid|eui|csi|nsid|metadata_bytes|nuse|passthru_err_log_enabled)$/;

  it.each<[KernelProfile, readonly string[]]>([
    ['6.12', ['csi', 'metadata_bytes', 'nsid', 'nuse', 'passthru_err_log_enabled', 'uuid', 'wwid']],
    ['6.1', ['nsid', 'uuid', 'wwid']],
    // 4.13 shows its `uuid` only beside an NGUID.
    ['4.13', ['nsid', 'wwid']],
  ])('of %s', async (profile, names) => {
    expect((await filesOf(profile)).ns.filter((name) => OWN.test(name))).toEqual(names);
  });
});
