/** QEMU's machine protocol over a line channel: commands are answered at once, events come unasked. Counterpart: QEMU's qapi/. */
import type { QemuMonitor } from '../ports.js';
import { type LineChannel, QemuError } from './line-channel.js';

interface Reply {
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
  readonly event?: string;
  readonly data?: unknown;
}

export class QmpMonitor implements QemuMonitor {
  private readonly channel: LineChannel;
  private readonly seen: { readonly name: string; readonly data: unknown }[] = [];

  /** Greets QEMU. Throws QemuError when it is not there. */
  constructor(channel: LineChannel) {
    this.channel = channel;
    this.channel.line('the greeting');
    this.execute('qmp_capabilities');
  }

  execute(command: string, args: Readonly<Record<string, unknown>> = {}): unknown {
    const text = JSON.stringify({ execute: command, arguments: args });
    this.channel.send(text);
    for (;;) {
      const reply = parse(this.channel.line(text), text);
      if (reply.event !== undefined) this.seen.push({ name: reply.event, data: reply.data ?? {} });
      else if (reply.error !== undefined) throw new QemuError(`QEMU refused ${text}: ${reply.error.desc}`);
      else return reply.return;
    }
  }

  events(name: string): readonly unknown[] {
    return this.seen.filter((event) => event.name === name).map(({ data }) => data);
  }
}

function parse(line: string, asked: string): Reply {
  try {
    return JSON.parse(line) as Reply;
  } catch {
    throw new QemuError(`QEMU answered ${JSON.stringify(line.slice(0, 200))} to ${asked}`);
  }
}
