/**
 * Waiting for QEMU without keeping the process busy: what it says unasked is read by the event loop, through a
 * descriptor of its own that does not block.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { QtestLink } from './qtest-link.js';

const NS_PER_MS = 1e6;
/** Shorter waits go through the event loop once, longer ones by its timers. */
const SHORT_WAIT_NS = 500_000;

export class EventWait {
  private readonly socket: Socket;
  private readonly link: QtestLink;
  private waiting: (() => void) | null = null;

  /** `replies` is the FIFO that QEMU writes; `feed` takes what was read from it. */
  constructor(replies: number, link: QtestLink, feed: (text: string) => void) {
    const fd = openSync(`/proc/self/fd/${replies}`, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      this.socket = new Socket({ fd, readable: true, writable: false });
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.link = link;
    this.socket.on('data', (chunk: Buffer) => {
      feed(chunk.toString('latin1'));
      link.drain();
      this.wake();
    });
    this.socket.on('error', () => link.fail('QEMU has ended'));
    this.socket.on('end', () => link.fail('QEMU has ended'));
    this.socket.unref();
  }

  wait(delayNs: number, fn: () => void): () => void {
    let done = false;
    const once = (): void => {
      if (done) return;
      done = true;
      cancel();
      fn();
    };
    // What came behind an answer is here already: no event will tell of it.
    this.link.drain();
    const isNow = delayNs < SHORT_WAIT_NS || this.link.raised || this.link.failure !== null;
    const cancelTimer = isNow ? soon(once) : later(once, delayNs / NS_PER_MS);
    const cancel = (): void => {
      done = true;
      cancelTimer();
      if (this.waiting === once) this.waiting = null;
    };
    this.waiting = once;
    return cancel;
  }

  /** Something was said or the link has died: whoever waits goes on. */
  wake(): void {
    const { waiting } = this;
    this.waiting = null;
    waiting?.();
  }

  close(): void {
    this.socket.destroy();
  }
}

function soon(fn: () => void): () => void {
  const handle = setImmediate(fn);
  return () => clearImmediate(handle);
}

function later(fn: () => void, ms: number): () => void {
  const handle = setTimeout(fn, Math.min(ms, 0x7fffffff));
  return () => clearTimeout(handle);
}
