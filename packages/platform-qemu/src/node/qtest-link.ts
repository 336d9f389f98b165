/**
 * QEMU's test protocol: one text line a command, one a reply. Writes are posted, their replies read with a later one.
 * Counterpart: QEMU's softmmu/qtest.c.
 */
import { readSync, writeSync } from 'node:fs';
import { type AccessSize, allOnes } from '@nvme-stack/pci-function';
import type { QemuLink } from '../ports.js';
import { type LineChannel, QemuError } from './line-channel.js';

/** Replies that may be outstanding before they are collected; well below what a FIFO holds. */
const MAX_OUTSTANDING = 256;
const IRQ_LINE = /^IRQ (raise|lower) (\d+)$/;
const IO_APIC_LINES = 24;
const READ: Record<AccessSize, string> = { 1: 'readb 0x', 2: 'readw 0x', 4: 'readl 0x' };
const WRITE: Record<AccessSize, string> = { 1: 'writeb 0x', 2: 'writew 0x', 4: 'writel 0x' };

export class QtestLink implements QemuLink {
  failure: string | null = null;
  raised = false;
  /** Told once, when the link has died. */
  onFailure: ((reason: string) => void) | null = null;
  private readonly channel: LineChannel;
  private readonly ram: number;
  private readonly levels = new Uint8Array(IO_APIC_LINES);
  /** Posted commands whose OK has not been read. */
  private outstanding = 0;

  /** `ram` is the file descriptor of guest RAM: its offset is the guest-physical address. */
  constructor(channel: LineChannel, ram: number) {
    this.channel = channel;
    this.ram = ram;
  }

  hear(): void {
    this.raised = false;
  }

  level(line: number): boolean {
    return this.levels[line] === 1;
  }

  read(address: number, size: AccessSize): number {
    const reply = this.ask(READ[size] + address.toString(16));
    return reply === null ? allOnes(size) : Number(reply);
  }

  write(address: number, value: number, size: AccessSize): void {
    this.post(`${WRITE[size]}${address.toString(16)} ${value >>> 0}`);
  }

  portWrite(port: number, value: number): void {
    this.post(`outl ${port} ${value >>> 0}`);
  }

  /** Every change of the I/O APIC's inputs is told from now on. */
  interceptLines(): void {
    this.ask('irq_intercept_in ioapic');
  }

  readMemory(address: number, bytes: Uint8Array, offset: number, length: number): void {
    this.collect();
    if (this.failure !== null) bytes.fill(0xff, offset, offset + length);
    else readSync(this.ram, bytes, offset, length, address);
  }

  writeMemory(address: number, bytes: Uint8Array, offset: number, length: number): void {
    if (this.failure === null) writeSync(this.ram, bytes, offset, length, address);
  }

  collect(): void {
    if (this.outstanding > 0) this.guarded(() => this.takePosted());
  }

  /** Takes what has come unasked; the event loop's call. */
  drain(): void {
    this.guarded(() => {
      for (let line = this.channel.bufferedLine(); line !== null; line = this.channel.bufferedLine()) {
        if (this.takeLevel(line)) continue;
        if (line !== 'OK' || this.outstanding === 0) throw nonsense(line, 'nothing');
        this.outstanding--;
      }
    });
  }

  /** Declares the link dead. */
  fail(reason: string): void {
    if (this.failure !== null) return;
    this.failure = reason;
    this.outstanding = 0;
    this.onFailure?.(reason);
  }

  private ask(command: string): string | null {
    return this.guarded(() => {
      this.channel.send(command);
      this.takePosted();
      return this.reply(command);
    });
  }

  private post(command: string): void {
    this.guarded(() => {
      if (this.outstanding >= MAX_OUTSTANDING) this.takePosted();
      this.channel.send(command);
      this.outstanding++;
    });
  }

  private guarded<T>(body: () => T): T | null {
    if (this.failure !== null) return null;
    try {
      return body();
    } catch (error) {
      this.fail(error instanceof Error ? error.message : String(error));
      return null;
    }
  }

  private takePosted(): void {
    while (this.outstanding > 0) {
      this.reply('a write');
      this.outstanding--;
    }
  }

  private reply(command: string): string {
    for (;;) {
      const line = this.channel.line(command);
      if (line === 'OK') return '';
      if (line.startsWith('OK ')) return line.slice(3);
      // Levels are told unasked, also between a command and its answer.
      if (!this.takeLevel(line)) throw nonsense(line, command);
    }
  }

  private takeLevel(line: string): boolean {
    const match = IRQ_LINE.exec(line);
    if (match === null) return false;
    const isRaised = match[1] === 'raise';
    this.levels[Number(match[2])] = isRaised ? 1 : 0;
    if (isRaised) this.raised = true;
    return true;
  }
}

function nonsense(line: string, asked: string): QemuError {
  return new QemuError(`QEMU answered ${JSON.stringify(line.slice(0, 200))} to ${JSON.stringify(asked)}`);
}
