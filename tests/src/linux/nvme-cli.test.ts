/** Debian's nvme-cli in the guest sees, through Linux's driver, what our own driver reads from the same controller. */
import { createMachine, type Machine } from '@nvme-stack/machine';
import type { NvmeControllerDescription } from '@nvme-stack/nvme-controller';
import { NVME_IOCTL_ADMIN_CMD, type NvmePassthruCmd } from '@nvme-stack/nvme-core/ports';
import { NvmeIdCtrl, NvmeIdNs } from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { linuxMissing, TIMEOUT_MS, withLinux } from './linux-bench.js';

const missing = await linuxMissing();
if (missing !== null) console.log(`skipped: ${missing}`);

const MIB = 1 << 20;
const ALL = 0xffffffff;
const COMMON = { serial: 'SQUARE01', model: 'Two drivers, one controller', firmware: '1.2.3' } as const;
const UUID = '12345678-9abc-4def-8123-456789abcdef';
const description: Partial<NvmeControllerDescription> = {
  ...COMMON,
  namespaces: [
    { sizeBytes: 16 * MIB, uuid: UUID },
    { sizeBytes: 8 * MIB, logicalBlockSize: 4096 },
  ],
};

/** The same controller with our driver on it. */
async function ourMachine(): Promise<Machine> {
  const namespaces = [
    { sizeBytes: 16 * MIB, uuid: UUID },
    { sizeBytes: 8 * MIB, logicalBlockSize: 4096 as const },
  ];
  const machine = await createMachine({ profile: '6.1', cpus: 1, memoryMiB: 64, nvme: [{ ...COMMON, namespaces }] });
  await machine.modprobe('nvme');
  await machine.settle();
  return machine;
}

/** Commands of nvme-cli that print a structure as it is, and the command that reads it. */
const STRUCTURES: readonly [string, NvmePassthruCmd, number][] = [
  ['id-ctrl /dev/nvme0 -b', { opcode: 6, cdw10: 1 }, 4096],
  ['id-ns /dev/nvme0 -n 1 -b', { opcode: 6, nsid: 1, cdw10: 0 }, 4096],
  ['id-ns /dev/nvme0 -n 2 -b', { opcode: 6, nsid: 2, cdw10: 0 }, 4096],
  ['ns-descs /dev/nvme0 -n 1 -b', { opcode: 6, nsid: 1, cdw10: 3 }, 4096],
  ['smart-log /dev/nvme0 -b', { opcode: 2, nsid: ALL, cdw10: 0x007f0002 }, 512],
  ['error-log /dev/nvme0 -e 1 -b', { opcode: 2, nsid: ALL, cdw10: 0x000f0001 }, 64],
  ['fw-log /dev/nvme0 -b', { opcode: 2, nsid: ALL, cdw10: 0x007f0003 }, 512],
  ['get-log /dev/nvme0 --log-id=5 --log-len=4096 -b', { opcode: 2, nsid: 0, cdw10: 0x03ff0005 }, 4096],
];
const FEATURES = [1, 4, 5, 7, 0xb];
/** Namespace Management, Firmware Commit, Device Self-test, Sanitize: what this controller does not say it offers. */
const NOT_OFFERED = [0x0d, 0x10, 0x14, 0x84];
const INVALID_OPCODE_DNR = 0x4001;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe.skipIf(missing !== null)('nvme-cli in the guest', () => {
  it(
    'prints the structures, features and refusals that our driver reads',
    () =>
      withLinux({ description }, async ({ guest }) => {
        await using machine = await ourMachine();
        const admin = async (command: NvmePassthruCmd): Promise<number> =>
          machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, command);
        for (const [command, passthru, length] of STRUCTURES) {
          const data = new Uint8Array(length);
          expect(await admin({ ...passthru, data }), command).toBe(0);
          const printed = (await guest.output(`nvme ${command} | xxd -p | tr -d '\\n'`)).trim();
          expect(printed, command).toBe(hex(data));
        }
        for (const fid of FEATURES) {
          const get: NvmePassthruCmd = { opcode: 0x0a, nsid: fid === 5 ? 1 : 0, cdw10: fid };
          expect(await admin(get)).toBe(0);
          const printed = await guest.output(`nvme get-feature /dev/nvme0 -f ${fid} ${fid === 5 ? '-n 1' : ''}`);
          expect(Number(/Current value: ?(0x[0-9a-f]+|0+)/.exec(printed)?.[1]), printed).toBe(get.result);
        }
        for (const opcode of NOT_OFFERED) {
          const { output } = await guest.run(`nvme admin-passthru /dev/nvme0 --opcode=${opcode} 2>&1`);
          const status = Number(/\((0x[0-9a-f]+)\)\s*$/.exec(output)?.[1]);
          expect([opcode, status], output).toEqual([opcode, INVALID_OPCODE_DNR]);
          expect(await admin({ opcode })).toBe(INVALID_OPCODE_DNR);
        }
      }),
    TIMEOUT_MS,
  );

  it(
    'prints the fields of the identify structures under their names',
    () =>
      withLinux({ description }, async ({ guest }) => {
        await using machine = await ourMachine();
        const controller = new Uint8Array(4096);
        const namespace = new Uint8Array(4096);
        await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 6, cdw10: 1, data: controller });
        await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 6, nsid: 2, cdw10: 0, data: namespace });
        const ours = NvmeIdCtrl.decode(controller);
        const json = JSON.parse(await guest.output('nvme id-ctrl /dev/nvme0 -o json')) as Record<string, unknown>;
        const same = ['vid', 'ssvid', 'rab', 'mdts', 'cntlid', 'ver', 'oaes', 'ctratt', 'oacs', 'acl', 'aerl', 'frmw'];
        const more = ['lpa', 'elpe', 'npss', 'wctemp', 'cctemp', 'sqes', 'cqes', 'maxcmd', 'nn', 'oncs', 'vwc', 'sgls'];
        for (const field of [...same, ...more]) {
          expect([field, json[field]]).toEqual([field, (ours as unknown as Record<string, number>)[field]]);
        }
        expect([json.sn, json.mn, json.fr]).toEqual([
          COMMON.serial.padEnd(20),
          COMMON.model.padEnd(40),
          COMMON.firmware.padEnd(8),
        ]);
        const idNs = JSON.parse(await guest.output('nvme id-ns /dev/nvme0 -n 2 -o json')) as Record<string, unknown>;
        const ourNs = NvmeIdNs.decode(namespace);
        expect([idNs.nsze, idNs.ncap, idNs.nuse]).toEqual([ourNs.nsze, ourNs.ncap, ourNs.nuse].map(Number));
        expect([idNs.nsfeat, idNs.nlbaf, idNs.flbas]).toEqual([ourNs.nsfeat, ourNs.nlbaf, ourNs.flbas]);
        const list = JSON.parse(await guest.output('nvme list -o json')) as { Devices: Record<string, unknown>[] };
        const disks = list.Devices.map(({ DevicePath, SectorSize, PhysicalSize }) => [
          DevicePath,
          SectorSize,
          PhysicalSize,
        ]);
        expect(disks.sort()).toEqual([
          ['/dev/nvme0n1', 512, 16 * MIB],
          ['/dev/nvme0n2', 4096, 8 * MIB],
        ]);
        // QEMU's identity has a quirk that makes both drivers ignore the UUID.
        const wwid = machine.sysfs.read('/sys/block/nvme0n1/wwid');
        expect(await guest.output('cat /sys/block/nvme0n1/wwid')).toBe(wwid);
      }),
    TIMEOUT_MS,
  );
});
