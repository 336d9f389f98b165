/**
 * Bells: QEMU's `edu` devices as receivers of interrupt messages. No CPU runs that could take a message, so it is
 * written to a bell, which keeps a bit for it and raises its pin until the bit is acknowledged.
 * Spec: QEMU docs/specs/edu.txt.
 */
import type { BoardConfig } from './board-config.js';
import { BELL_SLOT, MAX_BELLS, type QemuBoard, type QemuLink } from './ports.js';

const COMMAND = 0x04;
const BASE_ADDRESS_0 = 0x10;
const COMMAND_MEMORY = 2;
/** First bell's registers; each takes a MiB. */
const BELLS_BASE = 0xfe000000;
const BELL_BYTES = 0x100000;
const REG_PENDING = 0x24;
const REG_RAISE = 0x60;
const REG_ACKNOWLEDGE = 0x64;
const IO_APIC_LINES = 24;

export class Bells {
  readonly count: number;
  private readonly link: QemuLink;
  /** The line that every bell's pin reaches: up while a message is pending. */
  private readonly line: number;

  /** Gives the bells their addresses and finds their line. Throws an Error when they do not work. */
  constructor(qemu: QemuBoard, config: BoardConfig) {
    this.link = qemu.link;
    this.count = qemu.bells;
    if (!(qemu.bells >= 1 && qemu.bells <= MAX_BELLS)) {
      throw new RangeError(`bells is ${qemu.bells}; allowed: 1 to ${MAX_BELLS}`);
    }
    for (let bell = 0; bell < this.count; bell++) {
      config.poke(0, BELL_SLOT * 8 + bell, BASE_ADDRESS_0, BELLS_BASE + bell * BELL_BYTES, 4);
      config.poke(0, BELL_SLOT * 8 + bell, COMMAND, COMMAND_MEMORY, 2);
    }
    this.line = this.findLine();
  }

  private findLine(): number {
    const { link } = this;
    link.write(BELLS_BASE + REG_RAISE, 1, 4);
    const pending = this.pending(0);
    let line = 0;
    while (line < IO_APIC_LINES && !link.level(line)) line++;
    this.acknowledge(0, 1);
    link.collect();
    const works = pending === 1 && line < IO_APIC_LINES && !link.level(line);
    if (!works && link.failure === null) throw new Error('QEMU’s edu device does not turn messages into interrupts');
    return line;
  }

  /** Where a message for a bell is written. */
  address(bell: number): number {
    return BELLS_BASE + bell * BELL_BYTES + REG_RAISE;
  }

  /** Whether any bell has a message, as far as QEMU has told. */
  get ringing(): boolean {
    return this.link.level(this.line);
  }

  /** Messages of a bell that are pending: a bit each. Waits for QEMU, which meanwhile works. */
  pending(bell: number): number {
    const bits = this.link.read(BELLS_BASE + bell * BELL_BYTES + REG_PENDING, 4);
    return this.link.failure === null ? bits : 0;
  }

  acknowledge(bell: number, bits: number): void {
    this.link.write(BELLS_BASE + bell * BELL_BYTES + REG_ACKNOWLEDGE, bits, 4);
  }
}
