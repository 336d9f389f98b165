/** What the tests against real Linux share: a guest per test, started from the snapshot, with one of our controllers. */
import { debianFiles, Guest, type GuestDisk, PackagesMissing } from '@nvme-stack/linux-guest';
import {
  createNvmeController,
  type NvmeController,
  type NvmeControllerDeps,
  type NvmeControllerDescription,
} from '@nvme-stack/nvme-controller';
import type { DeviceRecord } from '../golden/device-record.js';

const MEBIBYTE = 1 << 20;
/** The first start fetches the packages and boots; the rest is a second or a few. */
export const TIMEOUT_MS = 180_000;
/** Loads the driver and waits for a namespace: its node is there a little before it can be opened (device_add, bdev_add). */
export const LOAD_DRIVER = `insmod /modules/nvme.ko
for i in $(seq 200); do (: < /dev/nvme0n1) 2> /dev/null && break; sleep 0.02; done
[ -e /dev/nvme0n1 ]`;
/** Has Linux wait one second for commands instead of 30 and 60. */
export const SHORT_TIMEOUTS = `echo 1 > /sys/module/nvme_core/parameters/admin_timeout
echo 1000 > /sys/block/nvme0n1/queue/io_timeout`;

/** Why there is no guest to test with; null: there is one. */
export async function linuxMissing(): Promise<string | null> {
  try {
    await debianFiles();
    return null;
  } catch (error) {
    if (error instanceof PackagesMissing) return error.message;
    throw error;
  }
}

/** A guest with one controller. */
export interface LinuxBench {
  readonly guest: Guest;
  readonly controller: NvmeController;
  /** What the driver did to the controller; empty unless recorded. */
  readonly records: DeviceRecord[];
}

/** How a bench differs from one namespace of 64 MiB, driver loaded. */
export interface BenchOptions {
  readonly description?: Partial<NvmeControllerDescription>;
  readonly deps?: NvmeControllerDeps;
  readonly disk?: Partial<GuestDisk>;
  readonly loaded?: boolean;
  /** Keep the controller's trace events. */
  readonly recorded?: boolean;
}

/** Starts a guest, gives it to `use`, and ends it however that ends. */
export async function withLinux(options: BenchOptions, use: (bench: LinuxBench) => Promise<void>): Promise<void> {
  const controller = createNvmeController(
    { namespaces: [{ sizeBytes: 64 * MEBIBYTE }], ...options.description },
    options.deps,
  );
  const records: DeviceRecord[] = [];
  const trace: GuestDisk['trace'] = ({ name, fields }, a, b, c, d) => {
    const values = [a, b, c, d];
    const entries = fields.map((field, i): [string, number] => [field, values[i] as number]);
    records.push({ line: records.length, name: name.replace('pci_nvme_', ''), fields: new Map(entries) });
  };
  const guest = await Guest.start([{ controller, ...options.disk, ...(options.recorded ? { trace } : {}) }]);
  try {
    if (options.loaded !== false) await guest.output(LOAD_DRIVER);
    await use({ guest, controller, records });
  } finally {
    await guest.stop();
  }
}

/** The kernel's log from the driver's first line on, without times and without what every disk of this make gets. */
export async function driverLog(guest: Guest): Promise<string[]> {
  const lines = (await guest.output('dmesg')).split('\n').map((line) => line.replace(/^\[ *[\d.]+\] ?/, ''));
  const first = lines.findIndex((line) => line.includes('pci function'));
  return lines.slice(first).filter((line) => line !== '' && !HARMLESS.test(line));
}

/**
 * The quirk of QEMU's identity (1b36:0010), the interrupt link's first use, file systems coming and going, and what a
 * busy host makes the emulated clock say.
 */
const HARMLESS = new RegExp(
  [
    'Ignoring bogus Namespace Identifiers',
    '^ACPI: .* Enabled at IRQ',
    '^EXT4-fs .*(mounted filesystem|unmounting)',
    'drop_caches',
    '^hrtimer: interrupt took',
    '^clocksource: ',
    '^sched: ',
  ].join('|'),
);
