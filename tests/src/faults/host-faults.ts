/** A machine whose host can fail: memory, DMA, bus, block layer, workqueues, device model, each step by its number. */
import { createBlkMq } from '@nvme-stack/blk-mq';
import { createDeviceCore } from '@nvme-stack/device-core';
import { createKernel, type DmaOps } from '@nvme-stack/kernel';
import { faultyPort } from '@nvme-stack/kernel/testing';
import type { MachineParts } from '@nvme-stack/machine';
import { createPciBus } from '@nvme-stack/pci-bus';
import { createPlatformSim } from '@nvme-stack/platform-sim';
import { createWorkqueues } from '@nvme-stack/workqueue';

/** Counts the fallible steps of a machine, and makes one of them fail. */
export class HostFaults {
  /** Points in the order in which they were passed, while it counts. */
  readonly passed: string[] = [];
  /** The point that failed. */
  failed: string | null = null;
  private counting = false;
  private nth = 0;

  /** Starts to count; the `nth` step from here on fails, 0: none does. */
  start(nth = 0): void {
    this.passed.length = 0;
    this.failed = null;
    this.nth = nth;
    this.counting = true;
  }

  /** No step fails any more. */
  stop(): void {
    this.counting = false;
  }

  readonly fails = (point: string): boolean => {
    if (!this.counting) return false;
    this.passed.push(point);
    if (this.passed.length !== this.nth) return false;
    this.failed = point;
    return true;
  };

  /** The parts of a machine that asks here whether a step fails. */
  parts(): MachineParts {
    const { fails } = this;
    return {
      kernel: (options) => {
        const { memory } = options;
        return createKernel({
          ...options,
          ...(memory === undefined
            ? {}
            : {
                memory: (live, onBug) =>
                  faultyPort(memory(live, onBug), 'memory', { allocPages: { returns: -1 } }, fails),
              }),
        });
      },
      workqueue: (deps) =>
        faultyPort(createWorkqueues(deps), 'workqueue', { allocWorkqueue: { throws: 'ENOMEM' } }, fails),
      deviceCore: (deps) =>
        faultyPort(
          createDeviceCore(deps),
          'deviceCore',
          {
            allocChrdevRegion: { throws: 'EBUSY' },
            classRegister: { throws: 'ENOMEM' },
            deviceAdd: { rejects: 'ENOMEM' },
            cdevDeviceAdd: { rejects: 'ENOMEM' },
            driverRegister: { rejects: 'ENOMEM' },
          },
          fails,
        ),
      pciBus: (deps) =>
        faultyPort(
          createPciBus(deps),
          'pciBus',
          {
            pciRegisterDriver: { rejects: 'ENOMEM' },
            pciEnableDeviceMem: { rejects: 'EIO' },
            pciRequestMemRegions: { throws: 'EBUSY' },
            ioremap: { returns: null },
            pciAllocIrqVectors: { throws: 'ENOSPC' },
            pciAllocIrqVectorsAffinity: { throws: 'ENOSPC' },
            pciRequestIrq: { throws: 'ENOMEM' },
          },
          fails,
        ),
      blkMq: (deps) =>
        faultyPort(
          createBlkMq(deps),
          'blkMq',
          {
            blkMqAllocTagSet: { throws: 'ENOMEM' },
            blkMqAllocQueue: { throws: 'ENOMEM' },
            blkMqAllocDisk: { throws: 'ENOMEM' },
            blkMqAllocRequest: { rejects: 'EAGAIN' },
            blkMqTryAllocRequest: { returns: null },
            deviceAddDisk: { rejects: 'ENOMEM' },
          },
          fails,
        ),
      platform: (deps) => {
        const platform = createPlatformSim(deps);
        const { hostBridge } = platform;
        const dmaOps = (requesterId: number): DmaOps =>
          faultyPort(
            hostBridge.dmaOps(requesterId),
            'dma',
            {
              allocCoherent: { returns: null },
              mapPage: { returns: -1 },
              mapSg: { returns: 0 },
              supported: { returns: false },
            },
            fails,
          );
        const bridge = new Proxy(hostBridge, {
          get: (target, key) => (key === 'dmaOps' ? dmaOps : Reflect.get(target, key)),
        });
        return new Proxy(platform, {
          get: (target, key) => {
            if (key === 'hostBridge') return bridge;
            const value: unknown = Reflect.get(target, key, target);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
      },
    };
  }
}
