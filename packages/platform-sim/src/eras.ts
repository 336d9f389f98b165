/** What differs between kernel profiles in what the board's own drivers log, as data. */
import type { KernelProfile } from '@nvme-stack/kernel';

/** One era's choices. */
export interface PlatformSimEra {
  /** The line of a DMA that the IOMMU refused. @kernel drivers/iommu/intel/dmar.c dmar_fault_do_one */
  readonly dmaFault: {
    /** What follows the kind of access: requests without a process address space are named as such. */
    readonly pasid: string;
    /** What stands before numbers that are hexadecimal; the reason of a fault was decimal once. */
    readonly prefix: string;
  };
}

const MODERN: PlatformSimEra = { dmaFault: { pasid: ' NO_PASID', prefix: '0x' } };
const V4: PlatformSimEra = { dmaFault: { pasid: '', prefix: '' } };

/** The table. */
export const PLATFORM_SIM_ERAS: Readonly<Record<KernelProfile, PlatformSimEra>> = {
  '6.12': MODERN,
  '6.1': MODERN,
  '4.13': V4,
  '4.10': V4,
};
