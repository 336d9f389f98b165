/**
 * The directory of a slot: /sys/bus/pci/slots/<name>.
 * Kernel counterpart: drivers/pci/slot.c, drivers/pci/hotplug/pci_hotplug_core.c, pciehp_core.c.
 */
import type { Attribute } from '@nvme-stack/device-core/ports';
import { type ErrnoCode, errnoName, KernelError, waitEvent } from '@nvme-stack/kernel';
import * as regs from '@nvme-stack/pci-function';
import { readConfig } from '../access.js';
import { digitsOf } from '../pci-resource.js';
import type { PciSubsystem } from '../pci-subsystem.js';
import { parseFlag } from '../sysfs-device.js';
import {
  DISABLE_SLOT,
  type PcieHp,
  pciehpCardPresent,
  pciehpCheckLinkActive,
  pciehpGetPowerStatus,
  slotLog,
} from './controller.js';
import { enableRequest, pciehpRequest } from './events.js';

/** A slot's name: its number, and a suffix while another slot has that. @kernel drivers/pci/slot.c make_slot_name */
export function slotNameOf(subsystem: PciSubsystem, number: number): string {
  const taken = new Set(subsystem.slots.map(({ slotName }) => slotName));
  let name = String(number);
  for (let copy = 1; taken.has(name); copy++) name = `${number}-${copy}`;
  return name;
}

/** Makes the files; those of what the slot lacks are left out. @kernel drivers/pci/hotplug/pci_hotplug_core.c pci_hp_add */
export function addSlotFiles(ctrl: PcieHp): void {
  const { subsystem } = ctrl.port;
  const { core, busType } = subsystem;
  subsystem.slotsKobject ??= core.kobjectCreate('slots', core.busKobject(busType));
  const kobj = core.kobjectCreate(ctrl.slotName, subsystem.slotsKobject);
  for (const attribute of attributesOf(ctrl)) core.sysfsCreateFile(kobj, attribute);
  ctrl.kobj = kobj;
}

function attributesOf(ctrl: PcieHp): Attribute[] {
  const { port } = ctrl;
  const control = (): number => readConfig(port, port.expressCap + regs.PCI_EXP_SLTCTL, 2);
  const files: Attribute[] = [
    { name: 'address', mode: 0o444, show: () => `${addressOf(ctrl)}\n` },
    {
      name: 'power',
      mode: 0o644,
      show: () => `${isPowered(ctrl) ? 1 : 0}\n`,
      store: (text) => powerStore(ctrl, parseFlag('power', text)),
    },
    { name: 'adapter', mode: 0o444, show: () => `${pciehpCardPresent(ctrl) || pciehpCheckLinkActive(ctrl) ? 1 : 0}\n` },
  ];
  if (ctrl.has(regs.PCI_EXP_SLTCAP_AIP)) {
    const shown = [0, 1, 2, 0];
    const attention = (): number => shown[(control() & regs.PCI_EXP_SLTCTL_AIC) >> 6] as number;
    files.push({ name: 'attention', mode: 0o444, show: () => `${attention()}\n` });
  }
  return files;
}

/** Domain, bus and device of what stands in it. @kernel drivers/pci/slot.c address_read_file */
function addressOf({ port }: PcieHp): string {
  return `${digitsOf(port.domain, 4)}:${digitsOf(port.subordinate?.number ?? 0, 2)}:00`;
}

/** A slot without a power controller is as its card is. @kernel drivers/pci/hotplug/pciehp_core.c get_power_status */
function isPowered(ctrl: PcieHp): boolean {
  return !ctrl.has(regs.PCI_EXP_SLTCAP_PCP) || pciehpGetPowerStatus(ctrl);
}

/** Waits until it is done; throws ENODEV and what came of it. @kernel drivers/pci/hotplug/pciehp_ctrl.c pciehp_sysfs_enable_slot, pciehp_sysfs_disable_slot */
async function powerStore(ctrl: PcieHp, on: boolean): Promise<void> {
  const { state } = ctrl;
  const mayGo = on ? state === 'off' || state === 'blinking-on' : state === 'on' || state === 'blinking-off';
  if (!mayGo) {
    slotLog(ctrl, refusal(state, on));
    throw new KernelError('ENODEV', `slot ${ctrl.slotName} is ${state}`);
  }
  ctrl.requestResult = on ? ENODEV : 0;
  pciehpRequest(ctrl, on ? enableRequest(ctrl) : DISABLE_SLOT);
  await waitEvent(ctrl.requester, () => ctrl.pending === 0 && !ctrl.isRunning);
  const { requestResult } = ctrl;
  if (requestResult < 0) throw new KernelError(errnoName(requestResult) as ErrnoCode, `slot ${ctrl.slotName}`);
}

const ENODEV = -19;

function refusal(state: string, on: boolean): string {
  if (state === (on ? 'powering-on' : 'powering-off')) return `Already in powering ${on ? 'on' : 'off'} state`;
  return on ? 'Already enabled' : 'Already disabled';
}
