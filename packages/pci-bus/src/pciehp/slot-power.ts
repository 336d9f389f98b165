/**
 * Bringing the card of a slot up and taking it down.
 * Kernel counterpart: drivers/pci/hotplug/pciehp_ctrl.c (board_added, remove_board), pciehp_pci.c. Spec: [PCIe] 5.0 §6.7.
 */
import { Errno, msleep, traced, withMutex } from '@nvme-stack/kernel';
import * as regs from '@nvme-stack/pci-function';
import { changeWord } from '../access.js';
import { configureSegment, markDisconnected } from '../hotplug.js';
import { pciStopAndRemoveBusDevice } from '../remove.js';
import {
  ctrlLog,
  type PcieHp,
  pciehpCardPresent,
  pciehpCheckLinkStatus,
  pciehpGetPowerStatus,
  pciehpPowerOffSlot,
  pciehpPowerOnSlot,
  pciehpSetIndicators,
  slotLog,
} from './controller.js';

/** After power was taken away so long nothing may rely on it. [PCIe] 5.0 §6.7.1.8 */
const POWER_OFF_MS = 1000;

/** Enables what stands in the slot; 0 or a negative errno. @kernel drivers/pci/hotplug/pciehp_ctrl.c pciehp_enable_slot */
export const pciehpEnableSlot = traced('pciehp_enable_slot', async (ctrl: PcieHp): Promise<number> => {
  const result = await enable(ctrl);
  if (result !== 0 && ctrl.has(regs.PCI_EXP_SLTCAP_ABP))
    await pciehpSetIndicators(ctrl, regs.PCI_EXP_SLTCTL_PWR_IND_OFF, 0);
  await withMutex(ctrl.stateLock, async () => {
    ctrl.state = result === 0 ? 'on' : 'off';
  });
  return result;
});

async function enable(ctrl: PcieHp): Promise<number> {
  if (ctrl.era.changes === 'status-bits' && !pciehpCardPresent(ctrl)) {
    slotLog(ctrl, 'No adapter');
    return -Errno.ENODEV;
  }
  if (ctrl.has(regs.PCI_EXP_SLTCAP_PCP) && pciehpGetPowerStatus(ctrl)) {
    slotLog(ctrl, 'Already enabled');
    return 0;
  }
  return boardAdded(ctrl);
}

/** @kernel drivers/pci/hotplug/pciehp_ctrl.c board_added */
const boardAdded = traced('board_added', async (ctrl: PcieHp): Promise<number> => {
  if (ctrl.has(regs.PCI_EXP_SLTCAP_PCP)) await pciehpPowerOnSlot(ctrl);
  await pciehpSetIndicators(ctrl, regs.PCI_EXP_SLTCTL_PWR_IND_BLINK, 0);
  const isUp = (await pciehpCheckLinkStatus(ctrl)) && (await pciehpConfigureDevice(ctrl));
  if (!isUp) {
    await powerOff(ctrl);
    await pciehpSetIndicators(ctrl, regs.PCI_EXP_SLTCTL_PWR_IND_OFF, regs.PCI_EXP_SLTCTL_ATTN_IND_ON);
    return -Errno.ENODEV;
  }
  await pciehpSetIndicators(ctrl, regs.PCI_EXP_SLTCTL_PWR_IND_ON, regs.PCI_EXP_SLTCTL_ATTN_IND_OFF);
  return 0;
});

async function powerOff(ctrl: PcieHp): Promise<void> {
  if (!ctrl.has(regs.PCI_EXP_SLTCAP_PCP)) return;
  await pciehpPowerOffSlot(ctrl);
  await msleep(ctrl, POWER_OFF_MS);
}

/** False when there is nothing new. @kernel drivers/pci/hotplug/pciehp_pci.c pciehp_configure_device */
const pciehpConfigureDevice = traced('pciehp_configure_device', async (ctrl: PcieHp): Promise<boolean> => {
  const { port } = ctrl;
  const below = port.subordinate;
  if (below === null) return false;
  return withMutex(port.subsystem.rescanRemoveLock, async () => {
    if (below.findDevice(0) !== null) return true;
    if (await configureSegment(below, 0)) return true;
    ctrlLog(ctrl, 'err', 'No new device found');
    return false;
  });
});

/** Disables the slot; a card that was pulled is not spoken to any more. 0 or a negative errno. @kernel drivers/pci/hotplug/pciehp_ctrl.c pciehp_disable_slot */
export const pciehpDisableSlot = traced(
  'pciehp_disable_slot',
  async (ctrl: PcieHp, isSafe: boolean): Promise<number> => {
    let result = 0;
    if (ctrl.has(regs.PCI_EXP_SLTCAP_PCP) && !pciehpGetPowerStatus(ctrl)) {
      slotLog(ctrl, 'Already disabled');
      result = -Errno.EINVAL;
    } else {
      await removeBoard(ctrl, isSafe);
    }
    await withMutex(ctrl.stateLock, async () => {
      ctrl.state = 'off';
    });
    return result;
  },
);

/** @kernel drivers/pci/hotplug/pciehp_ctrl.c remove_board */
const removeBoard = traced('remove_board', async (ctrl: PcieHp, isSafe: boolean): Promise<void> => {
  await pciehpUnconfigureDevice(ctrl, isSafe);
  await powerOff(ctrl);
  // The link went down because the power did.
  if (ctrl.has(regs.PCI_EXP_SLTCAP_PCP)) ctrl.pending &= ~(regs.PCI_EXP_SLTSTA_DLLSC | regs.PCI_EXP_SLTSTA_PDC);
  await pciehpSetIndicators(ctrl, regs.PCI_EXP_SLTCTL_PWR_IND_OFF, 0);
});

/** @kernel drivers/pci/hotplug/pciehp_pci.c pciehp_unconfigure_device */
const pciehpUnconfigureDevice = traced(
  'pciehp_unconfigure_device',
  async (ctrl: PcieHp, isThere: boolean): Promise<void> => {
    const { port } = ctrl;
    const below = port.subordinate;
    if (below === null) return;
    // Its drivers must not wait for an answer while they let go of it.
    if (!isThere) for (const pdev of below.devices) markDisconnected(pdev);
    await withMutex(port.subsystem.rescanRemoveLock, async () => {
      for (const pdev of [...below.devices].reverse()) {
        await pciStopAndRemoveBusDevice(pdev);
        // Nothing it still has to say may reach the bus once its power goes.
        if (isThere)
          changeWord(
            pdev,
            regs.PCI_COMMAND,
            regs.PCI_COMMAND_MASTER | regs.PCI_COMMAND_SERR,
            regs.PCI_COMMAND_INTX_DISABLE,
          );
      }
    });
  },
);
