/** The guest without its process: arguments in, text in and out, exit code returned. */
import { createNvmeController, type NvmeController } from '@nvme-stack/nvme-controller';
import { FileBlockStore } from '@nvme-stack/nvme-controller/node';
import { NVME_REG_VS, VS } from '@nvme-stack/nvme-protocol';
import { PackagesMissing } from './debian.js';
import { bootedState } from './emulator.js';
import { Guest } from './guest.js';
import { BadInput, type LinuxOptions, parseOptions } from './options.js';
import { watchController } from './watch.js';

const SCRIPT_TIMEOUT_MS = 600_000;
const LOAD_TIMEOUT_MS = 60_000;
const POWER_DOWN = 'reboot: Power down';
/** Ends the shell from the keyboard, as in telnet. */
const ESCAPE = '\x1d';
/** Loads the driver and waits until it has looked for disks; a controller that fails is no reason to wait long. */
const LOAD = `insmod /modules/nvme.ko
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  grep -q nvme0n /proc/partitions && break; sleep 0.1
done`;

/** Where the guest's text goes, and where the user's comes from. */
export interface LinuxIo {
  out(text: string): void;
  error(text: string): void;
  /** Calls `typed` with what the user types, until the function it returns is called. */
  keyboard(typed: (text: string) => void): () => void;
}

/** Runs a guest. Exit codes: the script's, 1 when the guest cannot be had or fails, 2 for input that cannot be used. */
export async function main(argv: readonly string[], io: LinuxIo): Promise<number> {
  let options: LinuxOptions | string;
  try {
    options = parseOptions(argv);
  } catch (error) {
    if (!(error instanceof BadInput)) throw error;
    io.error(`${error.message}\n`);
    return 2;
  }
  if (typeof options === 'string') {
    io.out(options);
    return 0;
  }
  try {
    return await runGuest(options, io);
  } catch (error) {
    const what = error instanceof PackagesMissing ? 'The guest cannot be had' : 'The run failed';
    io.error(`${what}: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

async function runGuest(options: LinuxOptions, io: LinuxIo): Promise<number> {
  const { image, script, faults } = options;
  const store = image === null ? undefined : new FileBlockStore(image);
  const first = options.controller.namespaces[0]?.nsid ?? 1;
  const controller = createNvmeController(options.controller, {
    createStore: (nsid) => (nsid === first ? store : undefined),
  });
  const state = await bootedState((line) => io.error(`${line}\n`));
  const start = performance.now();
  const tell = (line: string): void => io.error(`${(performance.now() - start).toFixed(3).padStart(11)} ms  ${line}\n`);
  const disk = options.trace ? watchController(controller, tell) : { controller };
  let isShell = false;
  let tail = '';
  let onPowerDown = (): void => {};
  const guest = await Guest.start([disk], {
    state,
    onConsole: (byte) => {
      const character = String.fromCharCode(byte);
      if (isShell) io.out(character);
      tail = (tail + character).slice(-POWER_DOWN.length);
      if (tail === POWER_DOWN) onPowerDown();
    },
  });
  try {
    if (options.driver) await guest.run(LOAD, LOAD_TIMEOUT_MS);
    if (faults !== null) controller.faults.set(faults);
    if (script !== null) return await runScript(guest, script, io);
    isShell = true;
    io.error(`Linux with ${describe(controller)}. Ctrl-] or poweroff -f ends it.\n`);
    await new Promise<void>((resolve) => {
      const stop = io.keyboard((text) => {
        if (text.includes(ESCAPE)) onPowerDown();
        else guest.type(text);
      });
      onPowerDown = () => {
        stop();
        resolve();
      };
      guest.type('\n');
    });
    return 0;
  } finally {
    await guest.stop();
    store?.close();
  }
}

async function runScript(guest: Guest, script: string, io: LinuxIo): Promise<number> {
  const { output, status } = await guest.run(script, SCRIPT_TIMEOUT_MS);
  io.out(output);
  return status;
}

function describe(controller: NvmeController): string {
  const version = controller.barRead(0, NVME_REG_VS, 4);
  return `an NVMe ${VS.MJR.get(version)}.${VS.MNR.get(version)} controller in its PCI slot`;
}
