/**
 * QEMU's test protocol over a pair of FIFOs: one text line a command, one a reply, all of it synchronous.
 * Counterpart: QEMU's softmmu/qtest.c.
 */
import { readSync, writeSync } from 'node:fs';

/** Replies that may be outstanding before they are collected; well below what a FIFO holds. */
const MAX_OUTSTANDING = 256;
const CHUNK_BYTES = 4096;
const OUTSIDE_CHANGE = 'IRQ ';

/** A command line to QEMU and its answers. Calls block the process until QEMU answers. */
export class QtestLink {
  private readonly commands: number;
  private readonly replies: number;
  private readonly chunk = Buffer.alloc(CHUNK_BYTES);
  private buffered = '';
  /** Posted commands whose OK has not been read. */
  private outstanding = 0;

  /** File descriptors of the FIFO that QEMU reads, and of the one it writes. */
  constructor(commands: number, replies: number) {
    this.commands = commands;
    this.replies = replies;
  }

  /** Sends a command and returns what follows its OK. Throws when QEMU refuses it or has ended. */
  ask(command: string): string {
    this.send(command);
    this.collect();
    return this.reply(command);
  }

  /** Sends a command whose OK is read with a later one's. */
  post(command: string): void {
    if (this.outstanding === MAX_OUTSTANDING) this.collect();
    this.send(command);
    this.outstanding++;
  }

  /** Reads every outstanding OK: what was posted has taken effect. */
  collect(): void {
    for (; this.outstanding > 0; this.outstanding--) this.reply('a posted command');
  }

  private send(command: string): void {
    const line = Buffer.from(`${command}\n`);
    for (let sent = 0; sent < line.length; ) sent += writeSync(this.commands, line, sent);
  }

  private reply(command: string): string {
    for (;;) {
      const line = this.line();
      // Interrupt lines come unasked, also between a command and its answer.
      if (line.startsWith(OUTSIDE_CHANGE)) continue;
      if (line === 'OK') return '';
      if (line.startsWith('OK ')) return line.slice(3);
      throw new Error(`QEMU answered ${JSON.stringify(line)} to ${command}`);
    }
  }

  private line(): string {
    for (;;) {
      const end = this.buffered.indexOf('\n');
      if (end >= 0) {
        const line = this.buffered.slice(0, end);
        this.buffered = this.buffered.slice(end + 1);
        return line;
      }
      const count = readSync(this.replies, this.chunk);
      if (count === 0) throw new Error('QEMU has ended');
      this.buffered += this.chunk.toString('latin1', 0, count);
    }
  }
}
