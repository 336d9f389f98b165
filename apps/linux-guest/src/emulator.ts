/** A v86 machine for Linux, and the boot that ends in a snapshot right before `insmod nvme`. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { createNvmeController, type NvmeController } from '@nvme-stack/nvme-controller';
import { attachNvme } from '@nvme-stack/v86-nvme';
import { V86 } from 'v86';
import { AgentLine } from './agent-line.js';
import { cacheFolder, type DebianFiles, debianFiles } from './debian.js';
import { buildInitramfs } from './initramfs.js';
import { oneAtATime } from './one-at-a-time.js';

const require = createRequire(import.meta.url);
const V86_MODULE = require.resolve('v86');
const WASM_PATH = join(dirname(V86_MODULE), 'v86.wasm');
const V86_VERSION = (
  JSON.parse(readFileSync(join(dirname(V86_MODULE), '../package.json'), 'utf8')) as { version: string }
).version;

const MEMORY_BYTES = 128 << 20;
const VGA_MEMORY_BYTES = 1 << 20;
/** Where the disk sits in every snapshot. */
export const SLOT = 4;

/** The controller whose PCI function the kernel of every snapshot has seen, and no driver. */
export function bootController(): NvmeController {
  return createNvmeController({ namespaces: [] });
}
const BOOT_TIMEOUT_MS = 120_000;

/** What has no hardware here and would only wait for it. */
const BLACKLIST = [
  'i8042_init',
  'psmouse_init',
  'pcspkr_init',
  'floppy_module_init',
  'e1000_init_module',
  'agp_init',
  'ehci_hcd_init',
  'uhci_hcd_init',
  'init_hw_perf_events',
];
export const KERNEL_COMMAND_LINE = [
  'console=ttyS0',
  'quiet',
  'cryptomgr.notests',
  'noisapnp',
  'lpj=4000000',
  'mitigations=off',
  'lsm=',
  'nokaslr',
  'random.trust_cpu=on',
  'panic=-1',
  `initcall_blacklist=${BLACKLIST.join(',')}`,
].join(' ');

/** A new machine, loaded and not running. */
export async function createEmulator(boot: Partial<ConstructorParameters<typeof V86>[0]>): Promise<V86> {
  const emulator = new V86({
    autostart: false,
    wasm_path: WASM_PATH,
    memory_size: MEMORY_BYTES,
    vga_memory_size: VGA_MEMORY_BYTES,
    acpi: true,
    uart1: true,
    disable_keyboard: true,
    disable_mouse: true,
    disable_speaker: true,
    // The declarations know no machine without a network card; v86 does.
    net_device: { type: 'none' as 'ne2k' },
    ...boot,
  });
  await new Promise<void>((resolve) => emulator.add_listener('emulator-loaded', () => resolve()));
  return emulator;
}

/** The state of a guest that has booted and waits for `insmod nvme`; from the cache, or made now. */
export function bootedState(report: (line: string) => void = () => {}): Promise<ArrayBuffer> {
  state ??= findState(report);
  return state;
}

/** Unpacked once per process; a failure is what every later call gets, too. */
let state: Promise<ArrayBuffer> | null = null;

async function findState(report: (line: string) => void): Promise<ArrayBuffer> {
  const files = await debianFiles();
  const initramfs = buildInitramfs(files);
  const key = createHash('sha256')
    .update(JSON.stringify([V86_VERSION, files.kernelRelease, KERNEL_COMMAND_LINE, MEMORY_BYTES, SLOT]))
    .update(initramfs)
    .digest('hex')
    .slice(0, 16);
  const folder = cacheFolder();
  const path = join(folder, `linux-${key}.state.gz`);
  return oneAtATime(
    `${path}.lock`,
    () => (existsSync(path) ? exactBuffer(gunzipSync(readFileSync(path))) : null),
    async () => {
      report('Booting the guest once; later runs start from the snapshot.');
      const booted = await bootToAgent(files, initramfs);
      for (const name of readdirSync(folder)) if (/^linux-\w+\.state\.gz$/.test(name)) rmSync(join(folder, name));
      writeFileSync(`${path}.${process.pid}`, gzipSync(new Uint8Array(booted), { level: 3 }));
      renameSync(`${path}.${process.pid}`, path);
      return booted;
    },
  );
}

async function bootToAgent(files: DebianFiles, initramfs: Uint8Array): Promise<ArrayBuffer> {
  const file = (path: string): { buffer: ArrayBuffer } => ({
    buffer: exactBuffer(readFileSync(join(files.root, path))),
  });
  const emulator = await createEmulator({
    bios: file('usr/share/seabios/bios.bin'),
    vga_bios: file('usr/share/seabios/vgabios-stdvga.bin'),
    bzimage: file(`boot/vmlinuz-${files.kernelRelease}`),
    initrd: { buffer: exactBuffer(initramfs) },
    cmdline: KERNEL_COMMAND_LINE,
  });
  try {
    attachNvme(emulator, bootController(), { slot: SLOT });
    const agent = new AgentLine(emulator);
    await emulator.run();
    await agent.ready(BOOT_TIMEOUT_MS);
    await emulator.stop();
    return await emulator.save_state();
  } finally {
    await emulator.destroy();
  }
}

function exactBuffer(bytes: Uint8Array): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
}
