/**
 * QEMU as a machine's platform: its host bridge, and interrupts. No CPU of QEMU's runs, so messages go to a page of
 * guest RAM, a dword for each vector, which is looked at for a while after each write to a device.
 */
import { writeSync } from 'node:fs';
import type { IrqData, IrqDomain, Irqs, MsiMsg } from '@nvme-stack/irq/ports';
import { type Item, type Kernel, NO_CPU } from '@nvme-stack/kernel';
import type { PlatformSim, PlatformSimDeps } from '@nvme-stack/platform-sim/ports';
import { createQemuHostBridge } from './qemu-host-bridge.js';
import type { QemuProcess } from './qemu-process.js';

/** Below the range that is handed out for DMA. */
const MAILBOX_ADDRESS = 0x8000;
const MAILBOX_BYTES = 4096;
const MESSAGE = 1;
const POLL_NS = 50_000;
/** Looks after a write to a device, each a round trip to QEMU: together long enough for its disk. */
const POLLS = 20_000;

/** A vector: its place in the mailbox, and the interrupt it raises. */
class Mailbox {
  readonly index: number;
  readonly data: IrqData;
  readonly item: Item;

  constructor(kernel: Kernel, irqs: Irqs, index: number, data: IrqData) {
    this.index = index;
    this.data = data;
    this.item = kernel.ex.item('hardirq', data.effectiveCpu, (irq: number) => irqs.genericHandleIrq(irq), data.irq);
  }
}

class MailboxDomain implements IrqDomain {
  readonly name = 'QEMU-MAILBOX';
  private readonly kernel: Kernel;
  private readonly irqs: Irqs;
  private readonly qemu: QemuProcess;
  private readonly boxes: (Mailbox | null)[] = [];
  private readonly page = new Uint8Array(MAILBOX_BYTES);
  private readonly words = new Uint32Array(this.page.buffer);
  private readonly poll: Item;
  private pollsLeft = 0;
  private readonly look: (bytes: Uint8Array) => void;

  constructor(kernel: Kernel, irqs: Irqs, qemu: QemuProcess, look: (bytes: Uint8Array) => void) {
    this.kernel = kernel;
    this.irqs = irqs;
    this.qemu = qemu;
    this.look = look;
    this.poll = kernel.ex.item('device', NO_CPU, (self: MailboxDomain) => self.collect(), this);
  }

  activate(data: IrqData): boolean {
    data.effectiveCpu = data.affinity[0] ?? 0;
    const free = this.boxes.indexOf(null);
    const index = free < 0 ? this.boxes.length : free;
    if (index >= this.words.length) return false;
    this.boxes[index] = new Mailbox(this.kernel, this.irqs, index, data);
    data.chipData = this.boxes[index];
    return true;
  }

  deactivate(data: IrqData): void {
    const { index, item } = data.chipData as Mailbox;
    this.kernel.ex.disarm(item);
    this.boxes[index] = null;
  }

  composeMsiMsg(data: IrqData, msg: MsiMsg): void {
    msg.addressLo = MAILBOX_ADDRESS + 4 * (data.chipData as Mailbox).index;
    msg.addressHi = 0;
    msg.data = MESSAGE;
  }

  setAffinity(data: IrqData, cpus: readonly number[]): boolean {
    data.effectiveCpu = cpus[0] ?? 0;
    return true;
  }

  ack(): void {}

  /** A device was written to: looks for its messages from now on. Any context. */
  expectMessages(): void {
    this.pollsLeft = POLLS;
    const { ex } = this.kernel;
    if (!this.poll.pending) ex.arm(this.poll, ex.now() + POLL_NS);
  }

  private collect(): void {
    const { ex } = this.kernel;
    this.look(this.page);
    for (const box of this.boxes) {
      if (box === null || this.words[box.index] === 0) continue;
      // Empty before the handler runs: a message that comes meanwhile is seen by the next look.
      writeSync(this.qemu.ram, new Uint8Array(4), 0, 4, MAILBOX_ADDRESS + 4 * box.index);
      box.item.cpu = box.data.effectiveCpu;
      ex.post(box.item);
    }
    if (--this.pollsLeft > 0) ex.arm(this.poll, ex.now() + POLL_NS);
  }
}

/** Makes a machine's platform of a running QEMU; what the description has in slots stays out. */
export function createQemuPlatform(qemu: QemuProcess): (deps: PlatformSimDeps) => PlatformSim {
  return ({ kernel, irqs }) => {
    const bridge = createQemuHostBridge(kernel, qemu, () => domain.expectMessages());
    const domain: MailboxDomain = new MailboxDomain(kernel, irqs, qemu, (page) => {
      bridge.memory.roundTrip();
      bridge.memory.read(MAILBOX_ADDRESS, page, 0, MAILBOX_BYTES);
    });
    return {
      hostBridge: { ...bridge.hostBridge, msiDomain: domain },
      dmaFaults: [],
      dmaFaultCount: 0,
      dmaAborts: 0,
      spuriousMessages: 0,
      mappedPages: () => 0,
      functionAt: () => null,
      plug: () => refuse(),
      unplug: () => refuse(),
    };
  };
}

function refuse(): never {
  throw new RangeError('slots of QEMU are filled when it is started; allowed: the functions it was started with');
}
