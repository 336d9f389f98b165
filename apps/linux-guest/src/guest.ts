/** Real Linux in v86 with our controllers in its PCI slots, from the snapshot right before `insmod nvme`. */
import type { DeviceTraceEvent, PciFunction } from '@nvme-stack/pci-function';
import { attachNvme, type NvmeAttachment } from '@nvme-stack/v86-nvme';
import type { V86 } from 'v86';
import { AgentLine, type CommandResult } from './agent-line.js';
import { bootController, bootedState, createEmulator, SLOT } from './emulator.js';
import { pciShape } from './pci-shape.js';

const COMMAND_TIMEOUT_MS = 60_000;

/** One controller and how it sits in the guest's PCI bus. */
export interface GuestDisk {
  readonly controller: PciFunction;
  /** The slot of the snapshot unless told. */
  readonly slot?: number;
  /** False: INTx. */
  readonly msix?: boolean;
  readonly trace?: (event: DeviceTraceEvent, a: number, b: number, c: number, d: number) => void;
}

/** How a guest starts. */
export interface GuestOptions {
  /** The state to start from; bootedState() unless told. */
  readonly state?: ArrayBuffer;
  /** Called with what the console prints. */
  readonly onConsole?: (byte: number) => void;
}

/** A running guest. */
export class Guest {
  readonly emulator: V86;
  readonly attachments: readonly NvmeAttachment[];
  readonly #agent: AgentLine;

  private constructor(emulator: V86, attachments: readonly NvmeAttachment[], agent: AgentLine) {
    this.emulator = emulator;
    this.attachments = attachments;
    this.#agent = agent;
  }

  /** A guest that has found the disks and not loaded their driver; throws PackagesMissing. */
  static async start(disks: readonly GuestDisk[], options: GuestOptions = {}): Promise<Guest> {
    const state = options.state ?? (await bootedState());
    const [first] = disks;
    const isAsBooted =
      first !== undefined &&
      disks.length === 1 &&
      (first.slot ?? SLOT) === SLOT &&
      first.msix !== false &&
      pciShape(first.controller) === pciShape(bootController());
    const emulator = await createEmulator({});
    const attachments = disks.map(({ controller, ...rest }) =>
      attachNvme(emulator, controller, { slot: SLOT, ...rest }),
    );
    const agent = new AgentLine(emulator);
    const { onConsole } = options;
    if (onConsole) emulator.add_listener('serial0-output-byte', onConsole);
    await emulator.restore_state(state);
    await emulator.run();
    const guest = new Guest(emulator, attachments, agent);
    // The kernel in the snapshot has seen one controller with MSI-X; anything else it has to look at again.
    if (!isAsBooted) await guest.rescanBus();
    return guest;
  }

  /** Runs shell commands. */
  run(command: string, timeoutMs: number = COMMAND_TIMEOUT_MS): Promise<CommandResult> {
    return this.#agent.run(command, timeoutMs);
  }

  /** The output of shell commands that must succeed. */
  async output(command: string, timeoutMs: number = COMMAND_TIMEOUT_MS): Promise<string> {
    const { output, status } = await this.run(command, timeoutMs);
    if (status !== 0) throw new Error(`the guest's ${JSON.stringify(command)} ended with ${status}:\n${output}`);
    return output;
  }

  /** Types into the console. */
  type(text: string): void {
    this.emulator.serial0_send(text);
  }

  /** Everything the console printed. */
  get console(): string {
    return this.#agent.console;
  }

  /** Removes the snapshot's disk and looks for what is on the bus. */
  async rescanBus(): Promise<void> {
    const device = `/sys/bus/pci/devices/0000:00:${SLOT.toString(16).padStart(2, '0')}.0`;
    await this.output(`[ ! -e ${device} ] || echo 1 > ${device}/remove; echo 1 > /sys/bus/pci/rescan`);
  }

  async stop(): Promise<void> {
    await this.emulator.stop();
    await this.emulator.destroy();
  }
}
