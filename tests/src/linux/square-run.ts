/** The same work in the four corners: our driver or Linux's, on our controller or on QEMU's; one CPU everywhere. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildInitramfs, debianFiles, KERNEL_COMMAND_LINE } from '@nvme-stack/linux-guest';
import { createMachine, type Machine } from '@nvme-stack/machine';
import { qemuBoard } from '@nvme-stack/machine/node';
import { startQemu } from '@nvme-stack/platform-qemu/node';
import { type DeviceRecord, ourRecords, writtenRecords } from '../golden/device-record.js';
import { driverLog, LOAD_DRIVER, withLinux } from './linux-bench.js';

const DISK_BYTES = 64 << 20;
const WRITE_BYTES = 65536;
const READ_OFFSET_BYTES = 20480;
const READ_BYTES = 4096;
const LINE = 'nvme-stack\n';
const SLOT = 4;
const QEMU_BOOT_TIMEOUT_MS = 150_000;

/** What is compared. */
export interface Corner {
  readonly name: string;
  readonly records: readonly DeviceRecord[];
  /** MD5 of the 64 KiB after they were written, and again after the reset. */
  readonly sums: readonly string[];
  readonly log: readonly string[];
}

/** The work as shell commands; it prints both sums. */
const SCRIPT = `yes nvme-stack | head -c ${WRITE_BYTES} > /tmp/data
dd if=/dev/nvme0n1 of=/dev/null bs=${READ_BYTES} skip=${READ_OFFSET_BYTES / READ_BYTES} count=1 iflag=direct 2>/dev/null
dd if=/tmp/data of=/dev/nvme0n1 bs=${WRITE_BYTES} oflag=direct conv=notrunc,fsync 2>/dev/null
dd if=/dev/nvme0n1 bs=${WRITE_BYTES} count=1 iflag=direct 2>/dev/null | md5sum
echo 1 > /sys/class/nvme/nvme0/reset_controller
sleep 0.3
dd if=/dev/nvme0n1 bs=${WRITE_BYTES} count=1 iflag=direct 2>/dev/null | md5sum
dmesg > /tmp/log
rmmod nvme`;

const sumsIn = (output: string): string[] => output.match(/[0-9a-f]{32}/g) ?? [];

/** Linux's driver on our controller. */
export async function linuxOnOurs(): Promise<Corner> {
  let corner: Corner | null = null;
  await withLinux({ recorded: true }, async ({ guest, records }) => {
    const sums = sumsIn(await guest.output(SCRIPT));
    corner = { name: 'Linux’s driver, our controller', records, sums, log: logOf(await driverLog(guest)) };
  });
  return corner as unknown as Corner;
}

/** Linux's driver on QEMU's controller: the same kernel and initramfs. */
export async function linuxOnQemu(): Promise<Corner> {
  const folder = mkdtempSync(join(tmpdir(), 'nvme-stack-square-'));
  let child: ChildProcess | null = null;
  try {
    const files = await debianFiles();
    const path = (name: string): string => join(folder, name);
    writeFileSync(path('initrd'), buildInitramfs(files));
    writeFileSync(path('disk'), '');
    truncateSync(path('disk'), DISK_BYTES);
    child = spawn(
      'qemu-system-i386',
      [
        ...[
          '-machine',
          'pc',
          '-accel',
          'tcg',
          '-smp',
          '1',
          '-m',
          '128M',
          '-display',
          'none',
          '-no-reboot',
          '-nodefaults',
        ],
        // The BIOS without an NVMe driver, as in the emulator: what the trace shows is Linux's alone.
        ...['-bios', join(files.root, 'usr/share/seabios/bios.bin')],
        ...['-kernel', join(files.root, `boot/vmlinuz-${files.kernelRelease}`), '-initrd', path('initrd')],
        ...['-append', KERNEL_COMMAND_LINE, '-serial', `file:${path('console')}`, '-serial', 'stdio'],
        ...['-drive', `file=${path('disk')},if=none,id=disk,format=raw`],
        ...['-device', `nvme,drive=disk,serial=nvme-stack,addr=${SLOT}`],
        ...['-trace', 'pci_nvme_*', '-D', path('trace')],
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const agent = new AgentPipe(child);
    await agent.until('@@READY\n');
    const loaded = await agent.run(LOAD_DRIVER);
    if (!loaded.endsWith('@@STATUS 0\n')) throw new Error(`Linux on QEMU found no disk: ${loaded}`);
    const sums = sumsIn(await agent.run(SCRIPT));
    const lines = (await agent.run('cat /tmp/log')).split('\n').map((line) => line.replace(/^\[ *[\d.]+\] ?/, ''));
    const records = writtenRecords(readFileSync(path('trace'), 'utf8'));
    return { name: 'Linux’s driver, QEMU’s controller', records, sums, log: logOf(lines) };
  } finally {
    child?.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Our driver on our controller. */
export async function oursOnOurs(): Promise<Corner> {
  const nvme = [{ serial: 'nvme-stack', namespaces: [{ sizeBytes: DISK_BYTES }] }];
  await using machine = await createMachine({ profile: '6.1', cpus: 1, memoryMiB: 128, trace: 'full', nvme });
  const rest = await runMachine(machine);
  return { name: 'our driver, our controller', records: ourRecords(machine.trace.entries), ...rest };
}

/** Our driver on QEMU's controller. */
export async function oursOnQemu(): Promise<Corner> {
  await using qemu = await startQemu({
    controllers: [{ slot: SLOT, serial: 'nvme-stack', namespaces: [{ sizeBytes: DISK_BYTES }] }],
    trace: ['pci_nvme_*'],
  });
  const board = qemuBoard(qemu);
  await using machine = await createMachine(
    { profile: '6.1', cpus: 1, memoryMiB: 128, nvme: [] },
    { parts: { board } },
  );
  const rest = await runMachine(machine);
  return { name: 'our driver, QEMU’s controller', records: writtenRecords(qemu.traceText()), ...rest };
}

/** The work through the front door. */
async function runMachine(machine: Machine): Promise<Pick<Corner, 'sums' | 'log'>> {
  const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');
  await machine.modprobe('nvme');
  await machine.settle();
  const disk = machine.disk('nvme0n1');
  await disk.read(READ_OFFSET_BYTES, READ_BYTES);
  await disk.write(0, Buffer.from(LINE.repeat(Math.ceil(WRITE_BYTES / LINE.length))).subarray(0, WRITE_BYTES));
  await disk.flush();
  const sums = [md5(await disk.read(0, WRITE_BYTES))];
  await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
  await machine.settle();
  sums.push(md5(await disk.read(0, WRITE_BYTES)));
  const log = machine.dmesg().map((line) => line.replace(/^\[ *[\d.]+\] ?/, ''));
  await machine.rmmod('nvme');
  await machine.settle();
  return { sums, log: logOf(log) };
}

/** What the driver says, without where the device sits. */
function logOf(lines: readonly string[]): string[] {
  return lines
    .filter((line) => /^nvme/.test(line) && !line.includes('Ignoring bogus Namespace Identifiers'))
    .map((line) => line.replace(/[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.\d/, '…'));
}

/** The guest's agent at the other end of QEMU's standard input and output. */
class AgentPipe {
  readonly #child: ChildProcess;
  #text = '';
  #wake: () => void = () => {};

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.on('data', (data: Buffer) => {
      this.#text += data.toString('utf8').replaceAll('\r', '');
      this.#wake();
    });
    child.once('close', () => this.#wake());
  }

  async run(command: string): Promise<string> {
    this.#child.stdin?.write(`${command}\n@@RUN\n`);
    return (await this.until('@@READY\n')).slice(0, -'@@READY\n'.length);
  }

  /** What came up to and with `mark`. */
  async until(mark: string): Promise<string> {
    const deadline = Date.now() + QEMU_BOOT_TIMEOUT_MS;
    while (!this.#text.endsWith(mark)) {
      if (this.#child.exitCode !== null || Date.now() > deadline) throw new Error(`Linux on QEMU said: ${this.#text}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    const text = this.#text;
    this.#text = '';
    return text;
  }
}
