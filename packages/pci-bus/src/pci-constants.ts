/**
 * Register and resource constants that the bus needs and the device's side has no use for.
 * Kernel counterpart: include/uapi/linux/pci_regs.h, include/linux/ioport.h. Spec: [PCIe] 5.0 §7.5.3.
 */

/** @kernel include/linux/ioport.h IORESOURCE_MEM */
export const IORESOURCE_MEM = 0x200;
export const IORESOURCE_PREFETCH = 0x2000;
export const IORESOURCE_SIZEALIGN = 0x40000;
export const IORESOURCE_MEM_64 = 0x100000;
export const IORESOURCE_BUSY = 0x80000000;

/** Conventional BARs of a function. @kernel include/linux/pci.h PCI_STD_NUM_BARS */
export const PCI_STD_NUM_BARS = 6;
/** Rows of the `resource` file: BARs, ROM, virtual functions' BARs. */
export const PCI_RESOURCE_ROWS = 13;

export const SIZE_1M = 0x100000;
export const SIZE_2M = 0x200000;
export const SIZE_4G = 0x100000000;
