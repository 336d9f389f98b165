/** The guest's second serial line, where an agent runs commands and tells how they ended. */
import type { V86 } from 'v86';

const AGENT_UART = 1;
const READY = '@@READY\n';
const STATUS = /@@STATUS (\d+)\n$/;

/** What a command left. */
export interface CommandResult {
  /** Standard output and error together. */
  readonly output: string;
  readonly status: number;
}

/** Talks to the agent; one command at a time. */
export class AgentLine {
  readonly #emulator: V86;
  readonly #decoder = new TextDecoder();
  #text = '';
  #onText: (() => void) | null = null;
  #console = '';

  constructor(emulator: V86) {
    this.#emulator = emulator;
    emulator.add_listener('serial0-output-byte', (byte) => {
      this.#console += String.fromCharCode(byte);
    });
    emulator.add_listener('serial1-output-byte', (byte) => {
      this.#text += this.#decoder.decode(Uint8Array.of(byte), { stream: true });
      this.#text = this.#text.replace('\r\n', '\n');
      if (byte === 10) this.#onText?.();
    });
  }

  /** What the console printed. */
  get console(): string {
    return this.#console;
  }

  /** Resolves when the agent waits for a command; rejects with what the console said. */
  async ready(timeoutMs: number): Promise<void> {
    await this.#until((text) => text.endsWith(READY), timeoutMs, 'the guest to boot');
    this.#text = '';
  }

  /** Runs a shell command (of any number of lines). Rejects when it takes longer than timeoutMs. */
  async run(command: string, timeoutMs: number): Promise<CommandResult> {
    this.#text = '';
    this.#emulator.serial_send_bytes(AGENT_UART, new TextEncoder().encode(`${command}\n@@RUN\n`));
    await this.#until((text) => text.endsWith(READY), timeoutMs, `the guest to run ${JSON.stringify(command)}`);
    const output = this.#text.slice(0, -READY.length);
    this.#text = '';
    const status = STATUS.exec(output);
    if (status === null) throw new Error(`the guest's agent said ${JSON.stringify(output)} and no status`);
    return { output: output.slice(0, status.index), status: Number(status[1]) };
  }

  #until(isDone: (text: string) => boolean, timeoutMs: number, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#onText = null;
        const said = `${this.#text}\n${this.#console}`.trim().split('\n').slice(-30).join('\n');
        reject(new Error(`waited ${timeoutMs} ms for ${what}; it last said:\n${said}`));
      }, timeoutMs);
      this.#onText = () => {
        if (!isDone(this.#text)) return;
        clearTimeout(timer);
        this.#onText = null;
        resolve();
      };
      this.#onText();
    });
  }
}
