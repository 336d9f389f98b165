/**
 * A hot-plug slot as its driver keeps it, and its registers.
 * Kernel counterpart: drivers/pci/hotplug/pciehp.h (struct controller), pciehp_hpc.c. Spec: [PCIe] 5.0 §7.5.3.9 to §7.5.3.11.
 */
import type { Kobject } from '@nvme-stack/device-core/ports';
import {
  type HasKernel,
  type Kernel,
  type LogLevel,
  Mutex,
  msleep,
  traced,
  WaitQueue,
  waitEventTimeout,
} from '@nvme-stack/kernel';
import * as regs from '@nvme-stack/pci-function';
import type { DelayedWork } from '@nvme-stack/workqueue/ports';
import { expressType, readConfig, writeConfig } from '../access.js';
import type { PciehpEra } from '../eras.js';
import type { PciDevice } from '../pci-device.js';
import { digitsOf } from '../pci-resource.js';

/** @kernel drivers/pci/hotplug/pciehp.h OFF_STATE, BLINKINGON_STATE, BLINKINGOFF_STATE, POWERON_STATE, POWEROFF_STATE, ON_STATE */
export type SlotState = 'off' | 'blinking-on' | 'blinking-off' | 'powering-on' | 'powering-off' | 'on';

/** Requests beside the bits of the Slot Status register. @kernel drivers/pci/hotplug/pciehp.h DISABLE_SLOT */
export const DISABLE_SLOT = 1 << 16;
export const ENABLE_SLOT = 1 << 17;

const LINK_WAIT_MS = 1000;
const LINK_POLL_MS = 10;
/** After the link is up a device has so long until it must answer. [PCIe] 5.0 §6.6.1 */
const AFTER_LINK_MS = 100;
const DEVICE_WAIT_MS = 1000;
const DEVICE_POLL_MS = 20;
const COMMAND_WAIT_NS = 1e9;

/** @kernel drivers/pci/hotplug/pciehp.h controller */
export class PcieHp implements HasKernel {
  readonly kernel: Kernel;
  readonly era: PciehpEra;
  readonly port: PciDevice;
  /** Number printed on the slot, and a suffix where another has it too. */
  readonly slotName: string;
  /** Slot Capabilities. */
  readonly capabilities: number;
  state: SlotState;
  /** Events that the interrupt thread has not seen. */
  pending = 0;
  isRunning = false;
  commandBusy = false;
  /** What came of the last request: 0 or a negative errno. */
  requestResult = 0;
  readonly requester: WaitQueue;
  readonly commands: WaitQueue;
  readonly stateLock: Mutex;
  /** Set once. */
  buttonWork: DelayedWork = null as unknown as DelayedWork;
  kobj: Kobject | null = null;

  constructor(port: PciDevice, slotName: string) {
    this.kernel = port.kernel;
    this.era = port.subsystem.era.pciehp;
    this.port = port;
    this.slotName = slotName;
    this.capabilities = readConfig(port, port.expressCap + regs.PCI_EXP_SLTCAP, 4);
    this.state = (port.subordinate?.devices.length ?? 0) > 0 ? 'on' : 'off';
    this.requester = new WaitQueue(port.kernel, `pciehp ${slotName}: request`);
    this.commands = new WaitQueue(port.kernel, `pciehp ${slotName}: command`);
    this.stateLock = new Mutex(port.kernel, 'pciehp_state_lock');
  }

  has(capability: number): boolean {
    return (this.capabilities & capability) !== 0;
  }
}

/** @kernel include/linux/pcieport_if.h PCIE_PORT_SERVICE_HP */
const HOTPLUG_SERVICE = 1 << 2;

/** Who says it: the port, or `0000:00:05.0:pcie004`, its hot-plug service. */
function speaker({ era, port }: PcieHp): string {
  if (era.speaker === 'port') return `${port.dev.driver?.name ?? 'pci'} ${port.name}: pciehp`;
  const type = expressType(port);
  return `pciehp ${port.name}:pcie${digitsOf(((type - regs.PCI_EXP_TYPE_ROOT_PORT) << 8) | HOTPLUG_SERVICE, 3)}`;
}

/** @kernel drivers/pci/hotplug/pciehp.h ctrl_info, ctrl_err */
export function ctrlLog(ctrl: PcieHp, level: LogLevel, text: string): void {
  ctrl.kernel.printk.print(level, `${speaker(ctrl)}: ${text}`);
}

/** A line of this slot. */
export function slotLog(ctrl: PcieHp, text: string, level: LogLevel = 'info'): void {
  ctrlLog(ctrl, level, `Slot(${ctrl.slotName}): ${text}`);
}

function readExpress({ port }: PcieHp, offset: number): number {
  return readConfig(port, port.expressCap + offset, 2);
}

/** Changes bits of Slot Control, and waits for the command before where the port says when it is done. @kernel drivers/pci/hotplug/pciehp_hpc.c pcie_do_write_cmd */
export async function pcieWriteCmd(ctrl: PcieHp, command: number, mask: number): Promise<void> {
  const { port } = ctrl;
  if (ctrl.commandBusy && !(await waitEventTimeout(ctrl.commands, () => !ctrl.commandBusy, COMMAND_WAIT_NS)))
    ctrlLog(ctrl, 'info', `Timeout on hotplug command (issued ${COMMAND_WAIT_NS / 1e6} msec ago)`);
  const old = readExpress(ctrl, regs.PCI_EXP_SLTCTL);
  if (old === 0xffff) return;
  const value = (old & ~mask) | (command & mask);
  const isTold = (value & regs.PCI_EXP_SLTCTL_CCIE) !== 0 && (value & regs.PCI_EXP_SLTCTL_HPIE) !== 0;
  ctrl.commandBusy = isTold && !ctrl.has(regs.PCI_EXP_SLTCAP_NCCS);
  writeConfig(port, port.expressCap + regs.PCI_EXP_SLTCTL, value, 2);
}

/** Indicators that the slot lacks stay as they are; 0 leaves one alone. @kernel drivers/pci/hotplug/pciehp_hpc.c pciehp_set_indicators */
export async function pciehpSetIndicators(ctrl: PcieHp, power: number, attention: number): Promise<void> {
  let command = 0;
  let mask = 0;
  if (ctrl.has(regs.PCI_EXP_SLTCAP_PIP) && power !== 0) {
    command |= power;
    mask |= regs.PCI_EXP_SLTCTL_PIC;
  }
  if (ctrl.has(regs.PCI_EXP_SLTCAP_AIP) && attention !== 0) {
    command |= attention;
    mask |= regs.PCI_EXP_SLTCTL_AIC;
  }
  if (mask !== 0) await pcieWriteCmd(ctrl, command, mask);
}

/** @kernel drivers/pci/hotplug/pciehp_hpc.c pciehp_power_on_slot */
export async function pciehpPowerOnSlot(ctrl: PcieHp): Promise<void> {
  await pcieWriteCmd(ctrl, 0, regs.PCI_EXP_SLTCTL_PCC);
}

/** @kernel drivers/pci/hotplug/pciehp_hpc.c pciehp_power_off_slot */
export async function pciehpPowerOffSlot(ctrl: PcieHp): Promise<void> {
  await pcieWriteCmd(ctrl, regs.PCI_EXP_SLTCTL_PCC, regs.PCI_EXP_SLTCTL_PCC);
}

/** @kernel drivers/pci/hotplug/pciehp_hpc.c pciehp_get_power_status */
export function pciehpGetPowerStatus(ctrl: PcieHp): boolean {
  return (readExpress(ctrl, regs.PCI_EXP_SLTCTL) & regs.PCI_EXP_SLTCTL_PCC) === 0;
}

/** @kernel drivers/pci/hotplug/pciehp_hpc.c pciehp_card_present */
export function pciehpCardPresent(ctrl: PcieHp): boolean {
  const status = readExpress(ctrl, regs.PCI_EXP_SLTSTA);
  return status !== 0xffff && (status & regs.PCI_EXP_SLTSTA_PDS) !== 0;
}

/** @kernel drivers/pci/hotplug/pciehp_hpc.c pciehp_check_link_active */
export function pciehpCheckLinkActive(ctrl: PcieHp): boolean {
  const status = readExpress(ctrl, regs.PCI_EXP_LNKSTA);
  return status !== 0xffff && (status & regs.PCI_EXP_LNKSTA_DLLLA) !== 0;
}

/** Waits for the link and for the device behind it; false when one of them does not come. @kernel drivers/pci/hotplug/pciehp_hpc.c pciehp_check_link_status */
export const pciehpCheckLinkStatus = traced('pciehp_check_link_status', async (ctrl: PcieHp): Promise<boolean> => {
  for (let waitedMs = 0; !pciehpCheckLinkActive(ctrl); waitedMs += LINK_POLL_MS) {
    if (waitedMs >= LINK_WAIT_MS) {
      slotLog(ctrl, 'No link');
      return false;
    }
    await msleep(ctrl, LINK_POLL_MS);
  }
  await msleep(ctrl, AFTER_LINK_MS);
  const isFound = await deviceAnswers(ctrl);
  // What changed on the way here is not news.
  if (isFound) ctrl.pending &= ~(regs.PCI_EXP_SLTSTA_DLLSC | regs.PCI_EXP_SLTSTA_PDC);
  const link = readExpress(ctrl, regs.PCI_EXP_LNKSTA);
  if ((link & regs.PCI_EXP_LNKSTA_LT) !== 0 || (link & regs.PCI_EXP_LNKSTA_NLW) === 0) {
    slotLog(ctrl, `Cannot train link: status 0x${digitsOf(link, 4)}`);
    return false;
  }
  if (!isFound) slotLog(ctrl, 'No device found');
  return isFound;
});

/** @kernel drivers/pci/hotplug/pciehp_hpc.c pci_bus_check_dev */
async function deviceAnswers(ctrl: PcieHp): Promise<boolean> {
  const below = ctrl.port.subordinate;
  if (below === null) return false;
  for (let waitedMs = 0; ; waitedMs += DEVICE_POLL_MS) {
    const id = below.bridge.config.read(below.number, 0, regs.PCI_VENDOR_ID, 4);
    if (id !== 0xffffffff && id !== 0) return true;
    if (waitedMs >= DEVICE_WAIT_MS) return false;
    await msleep(ctrl, DEVICE_POLL_MS);
  }
}
