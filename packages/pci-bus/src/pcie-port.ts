/**
 * The driver of PCI Express ports: it gives the hot-plug service of a port its interrupt.
 * Kernel counterpart: drivers/pci/pcie/portdrv.c (pcieport), drivers/pci/hotplug/pciehp_core.c (pciehp).
 */
import { KernelError, traced } from '@nvme-stack/kernel';
import * as regs from '@nvme-stack/pci-function';
import { expressType, readConfig, writeConfig } from './access.js';
import { hasHotplugSlot } from './assign-resources.js';
import { pciRegisterDriver } from './driver.js';
import { pciDisableDevice, pciEnableDeviceMem, pciSetMaster } from './enable.js';
import { pciAllocIrqVectors, pciFreeIrq, pciFreeIrqVectors, pciRequestIrq } from './irq-vectors.js';
import type { PciDevice } from './pci-device.js';
import type { PciSubsystem } from './pci-subsystem.js';
import { ctrlLog, PcieHp, pciehpCardPresent, pciehpPowerOffSlot, pcieWriteCmd } from './pciehp/controller.js';
import { enableRequest, pciehpIsr, pciehpIst, pciehpQueuePushbuttonWork, pciehpRequest } from './pciehp/events.js';
import { addSlotFiles, slotNameOf } from './pciehp/slot-files.js';
import { PCI_ANY_ID, PCI_IRQ_ALL_TYPES, type PciDriver } from './ports.js';

const PORT_CLASS = 0x060400;
const SLTCAP2 = 0x34;
const SLTCAP2_IBPD = 1;
const EVENT_BITS =
  regs.PCI_EXP_SLTSTA_ABP |
  regs.PCI_EXP_SLTSTA_PFD |
  regs.PCI_EXP_SLTSTA_MRLSC |
  regs.PCI_EXP_SLTSTA_CC |
  regs.PCI_EXP_SLTSTA_DLLSC |
  regs.PCI_EXP_SLTSTA_PDC;

/** Registers the driver when the first port is there; Linux has it from the start. Task context. @kernel drivers/pci/pcie/portdrv.c pcie_portdrv_init */
export async function pciePortdrvInit(subsystem: PciSubsystem): Promise<void> {
  if (subsystem.hasPortDriver || !subsystem.devices.some(isServed)) return;
  subsystem.hasPortDriver = true;
  await pciRegisterDriver(subsystem, portDriver());
}

function isServed(pdev: PciDevice): boolean {
  if (pdev.headerType !== regs.PCI_HEADER_TYPE_BRIDGE) return false;
  return pdev.segment.bridge.nativePcieHotplug === true && expressType(pdev) >= regs.PCI_EXP_TYPE_ROOT_PORT;
}

function portDriver(): PciDriver {
  return {
    name: 'pcieport',
    owner: '',
    idTable: [
      {
        vendor: PCI_ANY_ID,
        device: PCI_ANY_ID,
        subvendor: PCI_ANY_ID,
        subdevice: PCI_ANY_ID,
        class: PORT_CLASS,
        classMask: 0xffffff,
        driverData: 0,
      },
    ],
    probeType: 'default',
    probe: async (pdev) => pciePortdrvProbe(pdev as PciDevice),
    remove: async (pdev) => pciePortdrvRemove(pdev as PciDevice),
    pm: { resume: async (dev) => pciehpResume(dev.container as PciDevice) },
  };
}

/** @kernel drivers/pci/pcie/portdrv.c pcie_portdrv_probe */
const pciePortdrvProbe = traced('pcie_portdrv_probe', async (pdev: PciDevice): Promise<void> => {
  if (!isServed(pdev)) throw new KernelError('ENODEV', `${pdev.name} is no PCI Express port`);
  await pciEnableDeviceMem(pdev);
  pciSetMaster(pdev);
  if (!hasHotplugSlot(pdev) || pdev.subordinate === null) return;
  try {
    pciAllocIrqVectors(pdev, { minVecs: 1, maxVecs: 1, flags: PCI_IRQ_ALL_TYPES, affinity: null });
    await pciehpProbe(pdev);
  } catch (error) {
    pciFreeIrqVectors(pdev);
    pciDisableDevice(pdev);
    throw error;
  }
});

/** @kernel drivers/pci/hotplug/pciehp_core.c pciehp_probe */
const pciehpProbe = traced('pciehp_probe', async (pdev: PciDevice): Promise<void> => {
  const { subsystem } = pdev;
  const number = readConfig(pdev, pdev.expressCap + regs.PCI_EXP_SLTCAP, 4) >>> 19;
  const ctrl = new PcieHp(pdev, slotNameOf(subsystem, number));
  ctrl.buttonWork = subsystem.workqueues.initDelayedWork(
    'pciehp_queue_pushbutton_work',
    ctrl,
    pciehpQueuePushbuttonWork,
  );
  writeConfig(pdev, pdev.expressCap + regs.PCI_EXP_SLTSTA, EVENT_BITS, 2);
  ctrlLog(ctrl, 'info', `Slot #${number} ${capabilityText(ctrl)}`);
  if (ctrl.has(regs.PCI_EXP_SLTCAP_PCP) && !pciehpCardPresent(ctrl)) await pciehpPowerOffSlot(ctrl);
  pciRequestIrq<PcieHp>(pdev, {
    nr: 0,
    handler: (_irq, self) => pciehpIsr(self),
    threadFn: (_irq, self) => pciehpIst(self),
    devId: ctrl,
    name: 'pciehp',
  });
  subsystem.slots.push(ctrl);
  addSlotFiles(ctrl);
  await pcieEnableNotification(ctrl);
  pciehpCheckPresence(ctrl);
});

/** `AttnBtn+ PwrCtrl- …` */
function capabilityText(ctrl: PcieHp): string {
  const { port } = ctrl;
  const second = readConfig(port, port.expressCap + SLTCAP2, 4);
  const link = readConfig(port, port.expressCap + regs.PCI_EXP_LNKCAP, 4);
  const flags: readonly (readonly [name: string, isSet: boolean])[] = [
    ['AttnBtn', ctrl.has(regs.PCI_EXP_SLTCAP_ABP)],
    ['PwrCtrl', ctrl.has(regs.PCI_EXP_SLTCAP_PCP)],
    ['MRL', ctrl.has(regs.PCI_EXP_SLTCAP_MRLSP)],
    ['AttnInd', ctrl.has(regs.PCI_EXP_SLTCAP_AIP)],
    ['PwrInd', ctrl.has(regs.PCI_EXP_SLTCAP_PIP)],
    ['HotPlug', ctrl.has(regs.PCI_EXP_SLTCAP_HPC)],
    ['Surprise', ctrl.has(regs.PCI_EXP_SLTCAP_HPS)],
    ['Interlock', ctrl.has(regs.PCI_EXP_SLTCAP_EIP)],
    ['NoCompl', ctrl.has(regs.PCI_EXP_SLTCAP_NCCS)],
    ['IbPresDis', (second & SLTCAP2_IBPD) !== 0],
    ['LLActRep', (link & regs.PCI_EXP_LNKCAP_DLLLARC) !== 0],
  ];
  const shown = flags.filter(([name]) => name !== 'IbPresDis' || ctrl.era.showsInBandPresence);
  return shown.map(([name, isSet]) => `${name}${isSet ? '+' : '-'}`).join(' ');
}

/** The button's presses, or where there is none cards; and the link. @kernel drivers/pci/hotplug/pciehp_hpc.c pcie_enable_notification */
async function pcieEnableNotification(ctrl: PcieHp): Promise<void> {
  const what = ctrl.has(regs.PCI_EXP_SLTCAP_ABP) ? regs.PCI_EXP_SLTCTL_ABPE : regs.PCI_EXP_SLTCTL_PDCE;
  const command = what | regs.PCI_EXP_SLTCTL_DLLSCE | regs.PCI_EXP_SLTCTL_HPIE | regs.PCI_EXP_SLTCTL_CCIE;
  await pcieWriteCmd(ctrl, command, NOTIFICATIONS);
}

const NOTIFICATIONS =
  regs.PCI_EXP_SLTCTL_DLLSCE |
  regs.PCI_EXP_SLTCTL_ABPE |
  regs.PCI_EXP_SLTCTL_PDCE |
  regs.PCI_EXP_SLTCTL_PFDE |
  regs.PCI_EXP_SLTCTL_HPIE |
  regs.PCI_EXP_SLTCTL_CCIE |
  regs.PCI_EXP_SLTCTL_MRLSCE;

/** A card that came, or went, while nobody listened. @kernel drivers/pci/hotplug/pciehp_core.c pciehp_check_presence */
function pciehpCheckPresence(ctrl: PcieHp): void {
  const isThere = pciehpCardPresent(ctrl);
  const isOn = ctrl.state === 'on' || ctrl.state === 'blinking-off';
  if (isThere && !isOn) pciehpRequest(ctrl, enableRequest(ctrl));
  else if (!isThere && isOn) pciehpRequest(ctrl, regs.PCI_EXP_SLTSTA_PDC);
}

/** @kernel drivers/pci/pcie/portdrv.c pcie_portdrv_remove */
const pciePortdrvRemove = traced('pcie_portdrv_remove', async (pdev: PciDevice): Promise<void> => {
  const { subsystem } = pdev;
  const at = subsystem.slots.findIndex(({ port }) => port === pdev);
  if (at >= 0) {
    const [ctrl] = subsystem.slots.splice(at, 1) as [PcieHp];
    await pcieWriteCmd(ctrl, 0, NOTIFICATIONS);
    await subsystem.workqueues.cancelDelayedWorkSync(ctrl.buttonWork);
    await pciFreeIrq(pdev, 0, ctrl);
    if (ctrl.kobj !== null) subsystem.core.kobjectDel(ctrl.kobj);
  }
  pciFreeIrqVectors(pdev);
  pciDisableDevice(pdev);
});

/** @kernel drivers/pci/hotplug/pciehp_core.c pciehp_resume */
async function pciehpResume(pdev: PciDevice): Promise<void> {
  const ctrl = pdev.subsystem.slots.find(({ port }) => port === pdev);
  if (ctrl === undefined) return;
  writeConfig(pdev, pdev.expressCap + regs.PCI_EXP_SLTSTA, EVENT_BITS, 2);
  await pcieEnableNotification(ctrl);
  pciehpCheckPresence(ctrl);
}
