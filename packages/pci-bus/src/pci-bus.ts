/**
 * The PCI subsystem's port object: binds the functions of this package to one machine's state.
 * Kernel counterpart: include/linux/pci.h.
 */

import { deviceIsPresent, findCapability, readConfig, writeConfig } from './access.js';
import { pciDisablePcieErrorReporting, pciEnablePcieErrorReporting } from './aer.js';
import { createPciBusType } from './bus-type.js';
import { pciRegisterDriver, pciUnregisterDriver } from './driver.js';
import { pciDisableDevice, pciEnableDeviceMem, pciSetMaster } from './enable.js';
import { pciHostProbe, pciRescanBus } from './host-probe.js';
import {
  pciAllocIrqVectors,
  pciAllocIrqVectorsAffinity,
  pciFreeIrq,
  pciFreeIrqVectors,
  pciIrqGetAffinity,
  pciIrqVector,
  pciRequestIrq,
} from './irq-vectors.js';
import { iounmapRegion, pciIoremap, pciReleaseMemRegions, pciRequestMemRegions } from './map.js';
import { PciDevice } from './pci-device.js';
import { type PciBusDeps, PciSubsystem } from './pci-subsystem.js';
import type { PciBus, PciDev } from './ports.js';
import { pcieAspmEnabled, pciRestoreState, pciSaveState, pciSetPowerState } from './power.js';
import { pcieDoRecovery } from './recovery.js';
import { pciStopAndRemoveBusDeviceLocked } from './remove.js';
import { pcieFlr, pciResetFunction } from './reset.js';
import { pciSriovConfigureSimple } from './sriov.js';

/** Makes the PCI subsystem of a machine; nothing is enumerated yet. */
export function createPciBus(deps: PciBusDeps): PciBus {
  const subsystem = new PciSubsystem(deps);
  subsystem.busType = createPciBusType(subsystem);
  subsystem.rescan = () => pciRescanBus(subsystem);
  deps.kernel.trace.renameSymbols(subsystem.era.symbols);
  const of = (pdev: PciDev): PciDevice => {
    if (pdev instanceof PciDevice && pdev.subsystem === subsystem) return pdev;
    return deps.kernel.ex.bug('a PCI device of another bus');
  };
  return {
    kernel: deps.kernel,
    devices: subsystem.devices,
    pciHostProbe: (bridge) => pciHostProbe(subsystem, bridge),
    pciRescanBus: () => pciRescanBus(subsystem),
    pciStopAndRemoveBusDevice: (pdev) => pciStopAndRemoveBusDeviceLocked(of(pdev)),
    pciGetDevice: (name) => subsystem.devices.find((pdev) => pdev.name === name) ?? null,
    pciRegisterDriver: (drv) => pciRegisterDriver(subsystem, drv),
    pciUnregisterDriver: (drv) => pciUnregisterDriver(subsystem, drv),
    ...configuration(of),
    ...life(of),
    ...interrupts(of),
  };
}

type ByDevice = (pdev: PciDev) => PciDevice;

function configuration(of: ByDevice) {
  return {
    pciReadConfigByte: (pdev, offset) => readConfig(of(pdev), offset, 1),
    pciReadConfigWord: (pdev, offset) => readConfig(of(pdev), offset, 2),
    pciReadConfigDword: (pdev, offset) => readConfig(of(pdev), offset, 4),
    pciWriteConfigByte: (pdev, offset, value) => writeConfig(of(pdev), offset, value, 1),
    pciWriteConfigWord: (pdev, offset, value) => writeConfig(of(pdev), offset, value, 2),
    pciWriteConfigDword: (pdev, offset, value) => writeConfig(of(pdev), offset, value, 4),
    pciFindCapability: (pdev, id) => findCapability(of(pdev), id),
    pciDeviceIsPresent: (pdev) => deviceIsPresent(of(pdev)),
    pciSaveState: (pdev) => pciSaveState(of(pdev)),
    pciRestoreState: (pdev) => pciRestoreState(of(pdev)),
    pciForgetState: (pdev) => {
      of(pdev).stateSaved = false;
    },
    pcieAspmEnabled: (pdev) => pcieAspmEnabled(of(pdev)),
    acpiStorageD3: (pdev) => of(pdev).segment.bridge.storageD3Enable?.(pdev.busNumber, pdev.devfn) === true,
  } satisfies Partial<PciBus>;
}

function life(of: ByDevice) {
  return {
    pciEnableDeviceMem: (pdev) => pciEnableDeviceMem(of(pdev)),
    pciDisableDevice: (pdev) => pciDisableDevice(of(pdev)),
    pciIsEnabled: (pdev) => of(pdev).enableCount > 0,
    pciSetMaster: (pdev) => pciSetMaster(of(pdev)),
    pciRequestMemRegions: (pdev, name) => pciRequestMemRegions(of(pdev), name),
    pciReleaseMemRegions: (pdev) => pciReleaseMemRegions(of(pdev)),
    ioremap: (pdev, bar, sizeBytes) => pciIoremap(of(pdev), bar, sizeBytes),
    iounmap: (pdev, region) => iounmapRegion(of(pdev), region),
    pciSetPowerState: (pdev, state) => pciSetPowerState(of(pdev), state),
    pcieFlr: (pdev) => pcieFlr(of(pdev)),
    pciEnablePcieErrorReporting: (pdev) => pciEnablePcieErrorReporting(of(pdev)),
    pciDisablePcieErrorReporting: (pdev) => pciDisablePcieErrorReporting(of(pdev)),
    pciResetFunction: (pdev) => pciResetFunction(of(pdev)),
    pcieDoRecovery: (pdev, state) => pcieDoRecovery(of(pdev), state),
    pciSriovConfigureSimple: (pdev, numVfs) => pciSriovConfigureSimple(of(pdev), numVfs),
  } satisfies Partial<PciBus>;
}

function interrupts(
  of: ByDevice,
): Pick<
  PciBus,
  | 'pciAllocIrqVectors'
  | 'pciAllocIrqVectorsAffinity'
  | 'pciFreeIrqVectors'
  | 'pciIrqVector'
  | 'pciIrqGetAffinity'
  | 'pciRequestIrq'
  | 'pciFreeIrq'
> {
  return {
    pciAllocIrqVectors: (pdev, minVecs, maxVecs, flags) =>
      pciAllocIrqVectors(of(pdev), { minVecs, maxVecs, flags, affinity: null }),
    pciAllocIrqVectorsAffinity: (pdev, minVecs, maxVecs, flags, affinity) =>
      pciAllocIrqVectorsAffinity(of(pdev), { minVecs, maxVecs, flags, affinity }),
    pciFreeIrqVectors: (pdev) => pciFreeIrqVectors(of(pdev)),
    pciIrqVector: (pdev, nr) => pciIrqVector(of(pdev), nr),
    pciIrqGetAffinity: (pdev, nr) => pciIrqGetAffinity(of(pdev), nr),
    pciRequestIrq: (pdev, nr, handler, threadFn, devId, name) =>
      pciRequestIrq(of(pdev), { nr, handler, threadFn, devId, name }),
    pciFreeIrq: (pdev, nr, devId) => pciFreeIrq(of(pdev), nr, devId),
  };
}
