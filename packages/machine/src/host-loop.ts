/**
 * The host's two calls: a macrotask, and a delay. Captured when this module is loaded, so that a test runner's fake
 * timers never drive a machine. In Node a macrotask is `setImmediate`, in a browser or worker a message.
 */
import type { HostLoop } from '@nvme-stack/kernel';

interface HostMessagePort {
  postMessage(message: unknown): void;
  onmessage: (() => void) | null;
}

declare const setImmediate: ((fn: () => void) => unknown) | undefined;
declare const setTimeout: (fn: () => void, delayMs: number) => unknown;
declare const clearTimeout: (handle: unknown) => void;
declare const MessageChannel: new () => { readonly port1: HostMessagePort; readonly port2: HostMessagePort };

const NS_PER_MS = 1e6;
const immediate = typeof setImmediate === 'function' ? setImmediate : messageLoop();
const later = setTimeout;
const cancel = clearTimeout;

/** Macrotasks by messages to ourselves, in order. */
function messageLoop(): (fn: () => void) => void {
  const { port1, port2 } = new MessageChannel();
  const queue: (() => void)[] = [];
  port1.onmessage = () => queue.shift()?.();
  return (fn) => {
    queue.push(fn);
    port2.postMessage(null);
  };
}

/** The loop of the host this module runs in. */
export const hostLoop: HostLoop = {
  macrotask: (fn) => {
    immediate(fn);
  },
  after: (delayNs, fn) => {
    const handle = later(fn, delayNs / NS_PER_MS);
    return () => cancel(handle);
  },
};
