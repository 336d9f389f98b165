/**
 * The hot-plug slot of a port: whether a card is there and has power, its button, and the interrupt that tells of them.
 * Kernel counterpart: what drivers/pci/hotplug/pciehp_hpc.c drives. Spec: [PCIe] 5.0 §6.7.1, §6.7.3, §7.5.3.9 to §7.5.3.11.
 */
import * as regs from '@nvme-stack/pci-function';
import type { BoardBus } from './board-bus.js';

/** Each event of Slot Status and what enables its interrupt in Slot Control. */
const EVENTS: readonly (readonly [event: number, enable: number])[] = [
  [regs.PCI_EXP_SLTSTA_ABP, regs.PCI_EXP_SLTCTL_ABPE],
  [regs.PCI_EXP_SLTSTA_PDC, regs.PCI_EXP_SLTCTL_PDCE],
  [regs.PCI_EXP_SLTSTA_DLLSC, regs.PCI_EXP_SLTCTL_DLLSCE],
];

/** With a button there are indicators and a power controller too. */
export const BUTTON_SLOT =
  regs.PCI_EXP_SLTCAP_ABP | regs.PCI_EXP_SLTCAP_PCP | regs.PCI_EXP_SLTCAP_AIP | regs.PCI_EXP_SLTCAP_PIP;

export class HotplugSlot {
  private readonly config: regs.ConfigSpace;
  private readonly at: number;
  private readonly bus: BoardBus;
  /** Signals on a rising edge, and on every change where pins are used. */
  private readonly interrupt: (level: boolean) => void;
  private isPresent = false;
  private isSignalled = false;

  /** `at` is the port's PCI Express capability. */
  constructor(config: regs.ConfigSpace, at: number, bus: BoardBus, interrupt: (level: boolean) => void) {
    this.config = config;
    this.at = at;
    this.bus = bus;
    this.interrupt = interrupt;
    if (this.hasButton) this.config.set(at + regs.PCI_EXP_SLTCTL, EMPTY, 2);
    this.setLink();
  }

  get hasButton(): boolean {
    return (this.config.read(this.at + regs.PCI_EXP_SLTCAP, 4) & regs.PCI_EXP_SLTCAP_ABP) !== 0;
  }

  /** Power reaches the card; always where there is no power controller. */
  get isPowered(): boolean {
    const control = this.config.read(this.at + regs.PCI_EXP_SLTCTL, 2);
    return !this.hasButton || (control & regs.PCI_EXP_SLTCTL_PCC) === 0;
  }

  /** A card was there when the board was built: firmware gave it power, and nothing happened. */
  presentAtPowerOn(): void {
    this.isPresent = true;
    if (this.hasButton) this.config.set(this.at + regs.PCI_EXP_SLTCTL, OCCUPIED, 2);
    this.setStatus(regs.PCI_EXP_SLTSTA_PDS);
    this.setLink();
  }

  /** A card came or went; without power its link stays down. */
  setPresence(present: boolean): void {
    this.isPresent = present;
    this.setStatus(present ? regs.PCI_EXP_SLTSTA_PDS : 0, regs.PCI_EXP_SLTSTA_PDS, regs.PCI_EXP_SLTSTA_PDC);
    if (present) this.bus.setPower(this.isPowered);
    this.linkChanged();
    this.update();
  }

  /** Somebody pressed the button. */
  press(): void {
    this.setStatus(0, 0, regs.PCI_EXP_SLTSTA_ABP);
    this.update();
  }

  /** After a write to the configuration space: power may have changed, events may have been taken or enabled. */
  configWritten(wasPowered: boolean): void {
    const { isPowered } = this;
    if (isPowered !== wasPowered) {
      this.bus.setPower(isPowered);
      this.linkChanged();
    }
    this.update();
  }

  private linkChanged(): void {
    if (this.setLink()) this.setStatus(0, 0, regs.PCI_EXP_SLTSTA_DLLSC);
  }

  /** The link is up while a card with power is there; returns whether that is new. */
  private setLink(): boolean {
    const at = this.at + regs.PCI_EXP_LNKSTA;
    const old = this.config.read(at, 2);
    const up = this.isPresent && this.isPowered;
    if (up === ((old & regs.PCI_EXP_LNKSTA_DLLLA) !== 0)) return false;
    this.config.set(at, (old & ~regs.PCI_EXP_LNKSTA_DLLLA) | (up ? regs.PCI_EXP_LNKSTA_DLLLA : 0), 2);
    return true;
  }

  private setStatus(value: number, mask = regs.PCI_EXP_SLTSTA_PDS, event = 0): void {
    const at = this.at + regs.PCI_EXP_SLTSTA;
    this.config.set(at, (this.config.read(at, 2) & ~mask) | value | event, 2);
  }

  /** One message each time that some enabled event stands where none did. */
  private update(): void {
    const status = this.config.read(this.at + regs.PCI_EXP_SLTSTA, 2);
    const control = this.config.read(this.at + regs.PCI_EXP_SLTCTL, 2);
    const isEnabled = (control & regs.PCI_EXP_SLTCTL_HPIE) !== 0;
    const stands = EVENTS.some(([event, enable]) => (status & event) !== 0 && (control & enable) !== 0);
    const level = isEnabled && stands;
    if (level === this.isSignalled) return;
    this.isSignalled = level;
    this.interrupt(level);
  }
}

const EMPTY = regs.PCI_EXP_SLTCTL_PCC | regs.PCI_EXP_SLTCTL_PWR_IND_OFF | regs.PCI_EXP_SLTCTL_ATTN_IND_OFF;
const OCCUPIED = regs.PCI_EXP_SLTCTL_PWR_IND_ON | regs.PCI_EXP_SLTCTL_ATTN_IND_OFF;
