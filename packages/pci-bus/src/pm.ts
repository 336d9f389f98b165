/**
 * System sleep: the driver first, then the bus saves what the driver left and powers the function down; back again
 * in the other order.
 * Kernel counterpart: drivers/pci/pci-driver.c (pci_pm_suspend, pci_pm_suspend_noirq, pci_pm_resume).
 */
import type { Device } from '@nvme-stack/device-core/ports';
import { traced } from '@nvme-stack/kernel';
import * as regs from '@nvme-stack/pci-function';
import { deviceIsPresent } from './access.js';
import type { PciDevice } from './pci-device.js';
import { pciRestoreState, pciSaveState, pciSetPowerState } from './power.js';

/** @kernel drivers/pci/pci-driver.c pci_pm_suspend */
export const pciPmSuspend = traced('pci_pm_suspend', async (dev: Device): Promise<void> => {
  const pdev = dev.container as PciDevice;
  pdev.stateSaved = false;
  if (pdev.driver?.driver.pm?.suspend !== undefined) await pdev.driver.driver.pm.suspend(dev);
  await pciPmSuspendNoirq(dev);
});

/** A driver that saved the state itself also chose the power state. @kernel drivers/pci/pci-driver.c pci_pm_suspend_noirq */
const pciPmSuspendNoirq = traced('pci_pm_suspend_noirq', async (dev: Device): Promise<void> => {
  const pdev = dev.container as PciDevice;
  if (pdev.disconnected || pdev.stateSaved) return;
  pciSaveState(pdev);
  if (pdev.headerType === regs.PCI_HEADER_TYPE_NORMAL && pdev.driver !== null) await pciSetPowerState(pdev, 3);
});

/** @kernel drivers/pci/pci-driver.c pci_pm_resume */
export const pciPmResume = traced('pci_pm_resume', async (dev: Device): Promise<void> => {
  const pdev = dev.container as PciDevice;
  if (deviceIsPresent(pdev)) {
    await pciSetPowerState(pdev, 0);
    pciRestoreState(pdev);
  }
  if (pdev.driver?.driver.pm?.resume !== undefined) await pdev.driver.driver.pm.resume(dev);
});
