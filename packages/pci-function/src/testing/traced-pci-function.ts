// Middleware that logs every access to a PCI function and passes it on.
// Kernel counterpart: none.
import type { AccessSize, PciFunction, PciHost, PciResetKind } from '../ports.js';

/** One access, as text: `config write 0x4 2 = 0x6`. */
export type AccessLog = (line: string) => void;

/** Wraps a function so that each access is logged, results included. */
export function tracedPciFunction(fn: PciFunction, log: AccessLog): PciFunction {
  const traced: PciFunction = {
    attach: (host: PciHost) => {
      log('attach');
      fn.attach(host);
    },
    configRead: (offset: number, size: AccessSize) => {
      const value = fn.configRead(offset, size);
      log(`config read 0x${offset.toString(16)} ${size} = 0x${value.toString(16)}`);
      return value;
    },
    configWrite: (offset: number, value: number, size: AccessSize) => {
      log(`config write 0x${offset.toString(16)} ${size} = 0x${value.toString(16)}`);
      fn.configWrite(offset, value, size);
    },
    barRead: (bar: number, offset: number, size: AccessSize) => {
      const value = fn.barRead(bar, offset, size);
      log(`bar${bar} read 0x${offset.toString(16)} ${size} = 0x${value.toString(16)}`);
      return value;
    },
    barWrite: (bar: number, offset: number, value: number, size: AccessSize) => {
      log(`bar${bar} write 0x${offset.toString(16)} ${size} = 0x${value.toString(16)}`);
      fn.barWrite(bar, offset, value, size);
    },
    deferred: () => {
      log('deferred');
      fn.deferred();
    },
    alarm: () => {
      log('alarm');
      fn.alarm();
    },
    reset: (kind: PciResetKind) => {
      log(`reset ${kind}`);
      fn.reset(kind);
    },
  };
  if (fn.virtualFunctions) traced.virtualFunctions = () => fn.virtualFunctions?.() ?? [];
  return traced;
}
