/** Wrappers around any `IrqDomain`: one that reports every call, one that runs out of vectors. */
import type { IrqDomain } from '../ports.js';

/** Reports each call by name and interrupt number before passing it on. */
export function observedIrqDomain(inner: IrqDomain, onCall: (call: string, irq: number) => void): IrqDomain {
  return {
    name: inner.name,
    activate: (data) => {
      onCall('activate', data.irq);
      return inner.activate(data);
    },
    deactivate: (data) => {
      onCall('deactivate', data.irq);
      inner.deactivate(data);
    },
    composeMsiMsg: (data, msg) => {
      onCall('composeMsiMsg', data.irq);
      inner.composeMsiMsg(data, msg);
    },
    setAffinity: (data, cpus) => {
      onCall('setAffinity', data.irq);
      return inner.setAffinity(data, cpus);
    },
    ack: (data) => {
      onCall('ack', data.irq);
      inner.ack(data);
    },
  };
}

/** Refuses every activation for which `fails` says true. */
export function faultyIrqDomain(inner: IrqDomain, fails: (irq: number) => boolean): IrqDomain {
  const passing = observedIrqDomain(inner, () => {});
  return { ...passing, activate: (data) => !fails(data.irq) && inner.activate(data) };
}
