/** Which registers and commands Linux's driver uses to bring our controller up, per set of capabilities, and down again. */
import type { NvmeControllerDescription } from '@nvme-stack/nvme-controller';
import { describe, expect, it } from 'vitest';
import { driverLog, LOAD_DRIVER, linuxMissing, TIMEOUT_MS, withLinux } from './linux-bench.js';
import { commandLines, ioLines, registerLines } from './sequence.js';

const missing = await linuxMissing();
if (missing !== null) console.log(`skipped: ${missing}`);

const lines = (text: string): string[] =>
  text
    .trim()
    .split('\n')
    .map((line) => line.trim());

/** From nvme_pci_enable to CSTS.RDY; `css` is CC.CSS in place. */
const enable = (css: string): string[] => [
  ...['R CAP', 'R CAP+4', `W CC=4600${css}0`, 'R CC', 'R CAP', 'R CAP+4', `W CC=4600${css}1`, 'R CSTS', 'R VS'],
];
const QUEUES = ['W AQA=1f001f', 'W ASQ', 'W ASQ+4', 'W ACQ', 'W ACQ+4'];
const FIRST_LOOK = ['R CSTS', 'R CAP', 'R CAP+4', 'R CMBSZ', 'R VS'];
const probeRegisters = (css: string): string[] => [...FIRST_LOOK, 'W CC=0', 'R CSTS', ...QUEUES, ...enable(css)];

const SCAN = lines(`
  Identify nsid=0 CNS=6
  Identify nsid=0 CNS=2
  Identify nsid=1 CNS=3
  Identify nsid=1 CNS=0
  Identify nsid=1 CNS=0
  Identify nsid=1 CNS=5`);
const CREATE = (vector: number): string[] => [
  'Set Features nsid=0 FID=7 cdw11=0',
  `Create I/O Completion Queue nsid=0 queue=1 vector=${vector} size=3ff flags=3`,
  'Create I/O Submission Queue nsid=0 queue=1 completion queue=1 size=3ff flags=1',
];
const PARTITION_TABLES = ['Read nsid=1 blocks=8 lba=0', 'Read nsid=1 blocks=8 lba=8', 'Read nsid=1 blocks=8 lba=18'];

const PLAIN: Partial<NvmeControllerDescription> = {
  version: '1.2',
  dbbuf: false,
  sgl: false,
  volatileWriteCache: false,
  interrupts: 'msi',
};
const RICH: Partial<NvmeControllerDescription> = {
  hmb: { preferredKiB: 1024 },
  interrupts: 'intx',
  apst: true,
  powerStates: [
    { maxPower: 100, entryLatencyUs: 1, exitLatencyUs: 1 },
    { maxPower: 10, entryLatencyUs: 10, exitLatencyUs: 10, nonOperational: true },
  ],
};

interface Expected {
  readonly name: string;
  readonly description: Partial<NvmeControllerDescription>;
  readonly css: string;
  readonly commands: readonly string[];
  readonly interrupts: RegExp;
}

const CASES: readonly Expected[] = [
  {
    name: 'as QEMU offers them',
    description: {},
    css: '6',
    commands: [
      'Identify nsid=0 CNS=1',
      'Get Log Page nsid=0 LID=5',
      'Set Features nsid=0 FID=e cdw11=0',
      'Set Features nsid=0 FID=16 cdw11=0',
      'Get Log Page nsid=ffffffff LID=2',
      ...CREATE(1),
      'Doorbell Buffer Config nsid=0',
      'Set Features nsid=0 FID=b cdw11=100',
      ...SCAN,
      'Asynchronous Event Request',
    ],
    interrupts: /PCI-MSI 65536-edge +nvme0q0\n.*PCI-MSI 65537-edge +nvme0q1/,
  },
  {
    name: 'of a 1.2 controller without options, with one MSI',
    description: PLAIN,
    css: '0',
    commands: [
      'Identify nsid=0 CNS=1',
      'Get Log Page nsid=0 LID=5',
      'Set Features nsid=0 FID=e cdw11=0',
      'Get Log Page nsid=ffffffff LID=2',
      ...CREATE(0),
      'Set Features nsid=0 FID=b cdw11=100',
      'Identify nsid=0 CNS=6',
      'Identify nsid=0 CNS=2',
      'Identify nsid=1 CNS=0',
      'Identify nsid=1 CNS=0',
      'Asynchronous Event Request',
    ],
    interrupts: /PCI-MSI 65536-edge +nvme0q0, nvme0q1/,
  },
  {
    name: 'with host memory and power state transitions, over INTx',
    description: RICH,
    css: '6',
    commands: [
      'Identify nsid=0 CNS=1',
      'Get Log Page nsid=0 LID=5',
      'Set Features nsid=0 FID=c cdw11=1',
      'Set Features nsid=0 FID=e cdw11=0',
      'Set Features nsid=0 FID=16 cdw11=0',
      'Get Log Page nsid=ffffffff LID=2',
      'Set Features nsid=0 FID=d cdw11=1',
      ...CREATE(0),
      'Doorbell Buffer Config nsid=0',
      'Set Features nsid=0 FID=b cdw11=100',
      ...SCAN,
      'Asynchronous Event Request',
    ],
    interrupts: /IO-APIC +\d+-fasteoi +nvme0q0, nvme0q1/,
  },
];

describe.skipIf(missing !== null)('Linux’s probe of our controller', () => {
  it.each(CASES)(
    'uses the registers and commands it uses with capabilities $name',
    ({ description, css, commands, interrupts }) =>
      withLinux({ description, recorded: true }, async ({ guest, records }) => {
        expect(registerLines(records)).toEqual(probeRegisters(css));
        expect(commandLines(records)).toEqual(commands);
        expect(ioLines(records)).toEqual(PARTITION_TABLES);
        expect(await guest.output('cat /proc/interrupts')).toMatch(interrupts);
        const log = (await driverLog(guest)).filter((line) => !line.includes('host memory buffer'));
        expect(log).toEqual(['nvme nvme0: pci function 0000:00:04.0', 'nvme nvme0: 1/0/0 default/read/poll queues']);
      }),
    TIMEOUT_MS,
  );

  it(
    'resets: queues deleted, disabled, and everything again',
    () =>
      withLinux({ recorded: true }, async ({ guest, records }) => {
        records.length = 0;
        await guest.output('echo 1 > /sys/class/nvme/nvme0/reset_controller; sleep 0.2');
        expect(registerLines(records)).toEqual([
          ...['R CSTS', 'W CC=460060', 'R CSTS', 'R CAP', 'R CAP+4', 'R CMBSZ', 'R VS', 'W CC=460060', 'R CSTS'],
          ...[...QUEUES, ...enable('6')],
        ]);
        expect(commandLines(records)).toEqual([
          'Delete I/O Submission Queue nsid=0 queue=1',
          'Delete I/O Completion Queue nsid=0 queue=1',
          'Identify nsid=0 CNS=1',
          'Set Features nsid=0 FID=e cdw11=0',
          'Set Features nsid=0 FID=16 cdw11=0',
          ...CREATE(1),
          'Doorbell Buffer Config nsid=0',
          'Set Features nsid=0 FID=b cdw11=100',
          ...SCAN,
          'Asynchronous Event Request',
        ]);
        records.length = 0;
        await guest.output('echo 1 > /sys/class/nvme/nvme0/rescan_controller; sleep 0.2');
        expect(commandLines(records)).toEqual(SCAN);
        await guest.output('dd if=/dev/nvme0n1 of=/dev/null bs=64k count=4 iflag=direct');
      }),
    TIMEOUT_MS,
  );

  it(
    'shuts down when it is unbound, and starts from CSTS=9 when it is bound again',
    () =>
      withLinux({ recorded: true }, async ({ guest, controller, records }) => {
        records.length = 0;
        await guest.output('echo 0000:00:04.0 > /sys/bus/pci/drivers/nvme/unbind');
        expect(registerLines(records)).toEqual(['R CSTS', 'W CC=464061', 'R CSTS']);
        expect(commandLines(records)).toEqual([
          'Delete I/O Submission Queue nsid=0 queue=1',
          'Delete I/O Completion Queue nsid=0 queue=1',
        ]);
        expect(controller.barRead(0, 0x1c, 4)).toBe(9);
        records.length = 0;
        await guest.output(
          `echo 0000:00:04.0 > /sys/bus/pci/drivers/nvme/bind
          ${LOAD_DRIVER.split('\n').slice(1).join('\n')}
          dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct`,
        );
        expect(registerLines(records)).toEqual(probeRegisters('6'));
      }),
    TIMEOUT_MS,
  );

  it(
    'tells the controller that power goes off',
    () =>
      withLinux({ recorded: true }, async ({ guest, controller, records }) => {
        records.length = 0;
        guest.type('poweroff -f\n');
        for (let waited = 0; waited < 600 && !guest.console.includes('reboot: Power down'); waited++) {
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        expect(guest.console).toContain('reboot: Power down');
        expect(registerLines(records)).toEqual(['R CSTS', 'W CC=464061', 'R CSTS']);
        expect(controller.barRead(0, 0x1c, 4)).toBe(9);
      }),
    TIMEOUT_MS,
  );
});
