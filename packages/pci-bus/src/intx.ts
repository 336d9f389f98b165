/**
 * Pin interrupts: which line a function's pin reaches through the bridges above it, and switching the pin off.
 * Kernel counterpart: drivers/pci/setup-irq.c (pci_assign_irq), drivers/pci/irq.c, drivers/pci/pci.c (pci_intx).
 * Spec: [PCI] 3.0 §2.2.6, [PCI-BRIDGE] 1.2 §9.1.
 */
import * as regs from '@nvme-stack/pci-function';
import { changeWord, writeConfig } from './access.js';
import type { PciDevice } from './pci-device.js';

/** One line of the platform in use; functions share it. */
export interface IntxLine {
  readonly hwirq: number;
  readonly irq: number;
  users: number;
}

/** Gives the function its interrupt number, sharing the line with others. @kernel drivers/pci/setup-irq.c pci_assign_irq */
export function assignIrq(pdev: PciDevice): void {
  if (pdev.pin === 0 || pdev.intxHwirq >= 0) return;
  let { pin } = pdev;
  let at: PciDevice = pdev;
  // Each bridge turns the pins of the slots below it.
  for (let above = at.segment.self; above !== null; above = at.segment.self) {
    pin = ((pin - 1 + (at.devfn >>> 3)) & 3) + 1;
    at = above;
  }
  const route = pdev.segment.bridge.intxRoute(at.devfn, pin);
  if (route === null) return;
  const { intxLines, irqs } = pdev.subsystem;
  let line = intxLines.find(({ hwirq }) => hwirq === route.hwirq);
  if (line === undefined) {
    line = { hwirq: route.hwirq, irq: irqs.createMapping(route.hwirq, 'level', route.chip), users: 0 };
    intxLines.push(line);
  }
  line.users++;
  pdev.intxHwirq = line.hwirq;
  pdev.irq = line.irq;
  writeConfig(pdev, regs.PCI_INTERRUPT_LINE, line.irq & 0xff, 1);
}

/** Gives the line back; its last user unmaps it. @kernel arch/x86/pci/common.c pcibios_free_irq */
export function freeAssignedIrq(pdev: PciDevice): void {
  if (pdev.intxHwirq < 0) return;
  const { intxLines, irqs } = pdev.subsystem;
  const at = intxLines.findIndex(({ hwirq }) => hwirq === pdev.intxHwirq);
  const line = intxLines[at] as IntxLine;
  if (--line.users === 0) {
    irqs.disposeMapping(line.irq);
    intxLines.splice(at, 1);
  }
  pdev.intxHwirq = -1;
  pdev.irq = 0;
}

/** Lets the function use its pin, or not. @kernel drivers/pci/pci.c pci_intx */
export function pciIntx(pdev: PciDevice, enable: boolean): void {
  const bit = regs.PCI_COMMAND_INTX_DISABLE;
  changeWord(pdev, regs.PCI_COMMAND, enable ? bit : 0, enable ? 0 : bit);
}
