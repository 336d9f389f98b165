/** What differs between kernel profiles in drivers/base/, as data. */
import type { KernelProfile } from '@nvme-stack/kernel';
import type { DmiField } from './ports.js';

/** One era's choices. */
export interface DeviceCoreEra {
  /** A driver for a bus nobody registered: refused with -EINVAL, or BUG_ON(!drv->bus->p). */
  readonly unregisteredBus: 'refuse' | 'bug';
  /** What an asynchronous probe runs in a worker: one device's probe, or the whole of driver_attach. */
  readonly asyncProbeOf: 'device' | 'driver';
  /** KOBJ_BIND and KOBJ_UNBIND uevents, since 4.14. */
  readonly bindUevents: boolean;
  /** SYNTH_UUID in events that were written to a `uevent` file, since 4.13. */
  readonly synthUuid: boolean;
  /** Who speaks when a probe fails: the device, or the driver. */
  readonly probeFailureLog: 'device' | 'driver';
  /** What writing to `bind` returns when probe refuses: probe's errno, or always ENODEV. */
  readonly bindFailure: 'errno' | 'enodev';
  /** Who sets up DMA in really_probe: the bus, or dma_configure for every bus. */
  readonly dmaConfigure: 'bus' | 'core';
  /** What the kernel does not read of DMI yet. */
  readonly unknownDmiFields: readonly DmiField[];
  /** Symbols that have another name in that era, or none. */
  readonly symbols: Readonly<Record<string, string | null>>;
}

const MODERN: DeviceCoreEra = {
  unregisteredBus: 'refuse',
  asyncProbeOf: 'device',
  bindUevents: true,
  synthUuid: true,
  probeFailureLog: 'device',
  bindFailure: 'errno',
  dmaConfigure: 'bus',
  unknownDmiFields: [],
  symbols: {},
};

const V4: DeviceCoreEra = {
  unregisteredBus: 'bug',
  asyncProbeOf: 'driver',
  bindUevents: false,
  synthUuid: true,
  probeFailureLog: 'driver',
  bindFailure: 'enodev',
  dmaConfigure: 'core',
  unknownDmiFields: [],
  symbols: { __driver_probe_device: null },
};

/** The table. */
export const DEVICE_CORE_ERAS: Readonly<Record<KernelProfile, DeviceCoreEra>> = {
  '6.12': MODERN,
  // The compiler inlined driver_find into driver_register there: the captured call graph has no entry for it.
  '6.1': { ...MODERN, probeFailureLog: 'driver', symbols: { driver_find: null } },
  '4.13': V4,
  '4.10': {
    ...V4,
    synthUuid: false,
    dmaConfigure: 'bus',
    unknownDmiFields: ['productFamily'],
    symbols: { ...V4.symbols, cdev_device_add: null, cdev_device_del: null },
  },
};
