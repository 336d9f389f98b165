// Two repairs to v86's power management device, without which a kernel with ACPI loses every PCI device again.
// Kernel counterpart: none (the board). Spec: [ACPI] 6.4 §4.8.4.1; SeaBIOS's DSDT for the PIIX4.
import type { V86Cpu } from './internals.js';

/** General purpose event block of the PIIX4: two status bytes, then two enable bytes. */
const GPE0_STATUS = 0xafe0;
/** PCI hot-plug registers the DSDT reads: slots that came, slots to eject. */
const HOTPLUG_FIRST = 0xae00;
const HOTPLUG_LAST = 0xae0f;

/** Makes event status write-1-to-clear, and has the hot-plug registers say that no slot came or goes. */
export function repairAcpi(cpu: V86Cpu): void {
  const { acpi } = cpu.devices;
  if (acpi === undefined) return;
  for (let byte = 0; byte < 2; byte++) {
    cpu.io.register_write(GPE0_STATUS + byte, acpi, (value) => {
      acpi.gpe[byte] = (acpi.gpe[byte] as number) & ~value;
    });
  }
  const nothing = (): number => 0;
  for (let port = HOTPLUG_FIRST; port <= HOTPLUG_LAST; port++) {
    cpu.io.register_read(port, acpi, nothing, nothing, nothing);
  }
}
