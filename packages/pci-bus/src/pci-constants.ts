/**
 * Register and resource constants that the bus needs and the device's side has no use for.
 * Kernel counterpart: include/uapi/linux/pci_regs.h, include/linux/ioport.h. Spec: [SR-IOV] 1.1 §3.3, [PCIe] 5.0 §7.5.3.
 */

/** @kernel include/linux/ioport.h IORESOURCE_MEM */
export const IORESOURCE_MEM = 0x200;
export const IORESOURCE_PREFETCH = 0x2000;
export const IORESOURCE_SIZEALIGN = 0x40000;
export const IORESOURCE_MEM_64 = 0x100000;
export const IORESOURCE_BUSY = 0x80000000;

/** Single Root I/O Virtualization, offsets within the extended capability. */
export const PCI_SRIOV_CTRL = 0x08;
export const PCI_SRIOV_CTRL_VFE = 0x01;
export const PCI_SRIOV_CTRL_MSE = 0x08;
export const PCI_SRIOV_TOTAL_VF = 0x0e;
export const PCI_SRIOV_NUM_VF = 0x10;
export const PCI_SRIOV_VF_OFFSET = 0x14;
export const PCI_SRIOV_VF_STRIDE = 0x16;
export const PCI_SRIOV_VF_DID = 0x1a;
export const PCI_SRIOV_BAR = 0x24;

/** Conventional BARs of a function. @kernel include/linux/pci.h PCI_STD_NUM_BARS */
export const PCI_STD_NUM_BARS = 6;
/** Rows of the `resource` file: BARs, ROM, virtual functions' BARs. */
export const PCI_RESOURCE_ROWS = 13;

export const SIZE_1M = 0x100000;
export const SIZE_2M = 0x200000;
export const SIZE_4G = 0x100000000;
