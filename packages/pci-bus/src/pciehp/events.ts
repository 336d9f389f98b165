/**
 * What a slot's interrupt means: the button, a card that came or went, a link that is up or down.
 * Kernel counterpart: drivers/pci/hotplug/pciehp_hpc.c (pciehp_isr, pciehp_ist), pciehp_ctrl.c.
 */
import { IRQ_HANDLED, IRQ_NONE, IRQ_WAKE_THREAD, type IrqReturn } from '@nvme-stack/irq/ports';
import { traced, wakeUpAll, withMutex } from '@nvme-stack/kernel';
import * as regs from '@nvme-stack/pci-function';
import { readConfig, writeConfig } from '../access.js';
import { pciIrqVector } from '../irq-vectors.js';
import {
  ctrlLog,
  DISABLE_SLOT,
  ENABLE_SLOT,
  type PcieHp,
  pciehpCardPresent,
  pciehpCheckLinkActive,
  pciehpSetIndicators,
  type SlotState,
  slotLog,
} from './controller.js';
import { pciehpDisableSlot, pciehpEnableSlot } from './slot-power.js';

const { PCI_EXP_SLTSTA_ABP, PCI_EXP_SLTSTA_CC, PCI_EXP_SLTSTA_DLLSC, PCI_EXP_SLTSTA_PDC, PCI_EXP_SLTSTA_PFD } = regs;
const EVENTS = PCI_EXP_SLTSTA_ABP | PCI_EXP_SLTSTA_PFD | PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_CC | PCI_EXP_SLTSTA_DLLSC;
const PRESENCE = PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC;
const BUTTON_DELAY_NS = 5e9;

/** Takes the events over. Hard interrupt context. @kernel drivers/pci/hotplug/pciehp_hpc.c pciehp_isr */
export const pciehpIsr = traced('pciehp_isr', (ctrl: PcieHp): IrqReturn => {
  const { port } = ctrl;
  const at = port.expressCap + regs.PCI_EXP_SLTSTA;
  let events = 0;
  for (;;) {
    const status = readConfig(port, at, 2);
    const fresh = status === 0xffff ? 0 : status & EVENTS;
    if (fresh === 0) break;
    writeConfig(port, at, fresh, 2);
    events |= fresh;
    // A port with messages sends the next one only when every event was taken.
    if (!port.msiEnabled && !port.msixEnabled) break;
  }
  if (events === 0) return IRQ_NONE;
  if ((events & PCI_EXP_SLTSTA_CC) !== 0) {
    ctrl.commandBusy = false;
    wakeUpAll(ctrl.commands);
  }
  const news = ctrl.era.changes === 'status-bits' ? bitsAsRequests(ctrl, events) : events & ~PCI_EXP_SLTSTA_CC;
  if (news === 0) return IRQ_HANDLED;
  ctrl.pending |= news;
  return IRQ_WAKE_THREAD;
});

/** Until 4.18 the interrupt itself decided what each bit asks for, a link before a card. @kernel drivers/pci/hotplug/pciehp_hpc.c pciehp_isr */
function bitsAsRequests(ctrl: PcieHp, events: number): number {
  let requests = events & PCI_EXP_SLTSTA_ABP;
  if (requests !== 0) sayPressed(ctrl);
  if ((events & PRESENCE) === 0) return requests;
  const isLink = (events & PCI_EXP_SLTSTA_DLLSC) !== 0;
  const isUp = isLink ? pciehpCheckLinkActive(ctrl) : pciehpCardPresent(ctrl);
  const what = isLink ? `Link ${isUp ? 'Up' : 'Down'}` : `Card ${isUp ? '' : 'not '}present`;
  slotLog(ctrl, what);
  if (isLink && ctrl.state === 'powering-on') {
    slotLog(
      ctrl,
      isUp ? `${what} event ignored; already powering on` : `${what} event queued; currently getting powered on`,
    );
    if (isUp) return requests;
  } else if (isLink && ctrl.state === 'powering-off') {
    slotLog(
      ctrl,
      isUp ? `${what} event queued; currently getting powered off` : `${what} event ignored; already powering off`,
    );
    if (!isUp) return requests;
  }
  requests |= isUp ? ENABLE_SLOT : PCI_EXP_SLTSTA_PDC;
  return requests;
}

/** Has the interrupt thread see to a request. @kernel drivers/pci/hotplug/pciehp_ctrl.c pciehp_request */
export function pciehpRequest(ctrl: PcieHp, action: number): void {
  const { port } = ctrl;
  ctrl.pending |= action;
  port.subsystem.irqs.irqWakeThread(pciIrqVector(port, 0), ctrl);
}

/** @kernel drivers/pci/hotplug/pciehp_hpc.c pciehp_ist */
export const pciehpIst = traced('pciehp_ist', async (ctrl: PcieHp): Promise<IrqReturn> => {
  const events = ctrl.pending;
  if (events === 0) return IRQ_NONE;
  ctrl.isRunning = true;
  ctrl.pending = 0;
  if ((events & PCI_EXP_SLTSTA_ABP) !== 0) await handleButton(ctrl);
  if ((events & DISABLE_SLOT) !== 0) await handleDisableRequest(ctrl);
  else if (ctrl.era.changes === 'slot-state' && (events & PRESENCE) !== 0) await handleChange(ctrl, events);
  else {
    if ((events & PCI_EXP_SLTSTA_PDC) !== 0) await disableIfOn(ctrl, 0);
    if ((events & ENABLE_SLOT) !== 0) await enableIfOff(ctrl, false, false);
  }
  ctrl.isRunning = false;
  wakeUpAll(ctrl.requester);
  return IRQ_HANDLED;
});

async function handleButton(ctrl: PcieHp): Promise<void> {
  if (ctrl.era.changes === 'slot-state') sayPressed(ctrl);
  await withMutex(ctrl.stateLock, () => pciehpHandleButtonPress(ctrl));
}

function sayPressed(ctrl: PcieHp): void {
  const { pressed } = ctrl.era;
  if (pressed !== null) slotLog(ctrl, pressed);
}

/** Five seconds to think better of it; with the state lock. @kernel drivers/pci/hotplug/pciehp_ctrl.c pciehp_handle_button_press */
const pciehpHandleButtonPress = traced('pciehp_handle_button_press', async (ctrl: PcieHp): Promise<void> => {
  const { workqueues } = ctrl.port.subsystem;
  const { era, state } = ctrl;
  if (state === 'on' || state === 'off') {
    ctrl.state = state === 'on' ? 'blinking-off' : 'blinking-on';
    say(ctrl, state === 'on' ? era.willPowerOff : era.willPowerOn);
    await pciehpSetIndicators(ctrl, regs.PCI_EXP_SLTCTL_PWR_IND_BLINK, regs.PCI_EXP_SLTCTL_ATTN_IND_OFF);
    workqueues.queueDelayedWork(workqueues.systemWq, ctrl.buttonWork, BUTTON_DELAY_NS);
  } else if (state === 'blinking-on' || state === 'blinking-off') {
    workqueues.cancelDelayedWork(ctrl.buttonWork);
    const wasOn = state === 'blinking-off';
    ctrl.state = wasOn ? 'on' : 'off';
    const indicator = wasOn ? regs.PCI_EXP_SLTCTL_PWR_IND_ON : regs.PCI_EXP_SLTCTL_PWR_IND_OFF;
    await pciehpSetIndicators(ctrl, indicator, regs.PCI_EXP_SLTCTL_ATTN_IND_OFF);
    for (const text of wasOn ? era.staysOn : era.staysOff) say(ctrl, text);
  }
});

/** A line of an era's own, `%s` is the slot's name. */
function say(ctrl: PcieHp, text: string): void {
  ctrlLog(ctrl, 'info', text.replace('%s', ctrl.slotName));
}

/** The five seconds are over. @kernel drivers/pci/hotplug/pciehp_ctrl.c pciehp_queue_pushbutton_work */
export const pciehpQueuePushbuttonWork = traced('pciehp_queue_pushbutton_work', async (ctrl: PcieHp): Promise<void> => {
  await withMutex(ctrl.stateLock, async () => {
    if (ctrl.state === 'blinking-off') pciehpRequest(ctrl, DISABLE_SLOT);
    else if (ctrl.state === 'blinking-on') pciehpRequest(ctrl, enableRequest(ctrl));
  });
});

/** What asks for the slot to be enabled: a change of presence, where the state decides. */
export function enableRequest({ era }: PcieHp): number {
  return era.changes === 'slot-state' ? PCI_EXP_SLTSTA_PDC : ENABLE_SLOT;
}

/** @kernel drivers/pci/hotplug/pciehp_ctrl.c pciehp_handle_disable_request */
const handleDisableRequest = traced('pciehp_handle_disable_request', async (ctrl: PcieHp): Promise<void> => {
  await withMutex(ctrl.stateLock, async () => leaveFor(ctrl, 'powering-off'));
  ctrl.requestResult = await pciehpDisableSlot(ctrl, true);
});

function leaveFor(ctrl: PcieHp, state: SlotState): void {
  if (ctrl.state === 'blinking-on' || ctrl.state === 'blinking-off')
    ctrl.port.subsystem.workqueues.cancelDelayedWork(ctrl.buttonWork);
  ctrl.state = state;
}

/** What was there is taken down first, then what is there now is brought up. @kernel drivers/pci/hotplug/pciehp_ctrl.c pciehp_handle_presence_or_link_change */
const handleChange = traced(
  'pciehp_handle_presence_or_link_change',
  async (ctrl: PcieHp, events: number): Promise<void> => {
    await disableIfOn(ctrl, events);
    const isPresent = pciehpCardPresent(ctrl);
    const isLinkUp = pciehpCheckLinkActive(ctrl);
    if (!isPresent && !isLinkUp) {
      if (ctrl.state !== 'blinking-on') return;
      await withMutex(ctrl.stateLock, async () => leaveFor(ctrl, 'off'));
      await pciehpSetIndicators(ctrl, regs.PCI_EXP_SLTCTL_PWR_IND_OFF, 0);
      slotLog(ctrl, 'Card not present');
      return;
    }
    await enableIfOff(ctrl, isPresent, isLinkUp);
  },
);

/** A slot that is on lost its card or link, whatever stands in it now. */
async function disableIfOn(ctrl: PcieHp, events: number): Promise<void> {
  if (ctrl.state !== 'on' && ctrl.state !== 'blinking-off') return;
  await withMutex(ctrl.stateLock, async () => leaveFor(ctrl, 'powering-off'));
  if ((events & PCI_EXP_SLTSTA_DLLSC) !== 0) slotLog(ctrl, 'Link Down');
  if ((events & PCI_EXP_SLTSTA_PDC) !== 0) slotLog(ctrl, 'Card not present');
  await pciehpDisableSlot(ctrl, false);
}

async function enableIfOff(ctrl: PcieHp, saysPresent: boolean, saysLinkUp: boolean): Promise<void> {
  if (ctrl.state !== 'off' && ctrl.state !== 'blinking-on') return;
  await withMutex(ctrl.stateLock, async () => leaveFor(ctrl, 'powering-on'));
  if (saysPresent) slotLog(ctrl, 'Card present');
  if (saysLinkUp) slotLog(ctrl, 'Link Up');
  ctrl.requestResult = await pciehpEnableSlot(ctrl);
}
