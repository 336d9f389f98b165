// The LBA formats of every namespace, as Identify Namespace lists them.
// Kernel counterpart: include/linux/nvme.h struct nvme_lbaf. Spec: [NVM] 1.0 §4.1.5.

/** One format: data bytes as a power of two, and metadata bytes. */
export interface LbaFormat {
  readonly dataShift: number;
  readonly metadataBytes: number;
}

/** Formats 0 to 7. */
export const LBA_FORMATS: readonly LbaFormat[] = [
  { dataShift: 9, metadataBytes: 0 },
  { dataShift: 9, metadataBytes: 8 },
  { dataShift: 9, metadataBytes: 16 },
  { dataShift: 9, metadataBytes: 64 },
  { dataShift: 12, metadataBytes: 0 },
  { dataShift: 12, metadataBytes: 8 },
  { dataShift: 12, metadataBytes: 16 },
  { dataShift: 12, metadataBytes: 64 },
];

/** Bytes of protection information with a 16-bit guard, the only one offered. */
export const PROTECTION_BYTES = 8;

/** Index of the format of a block size and metadata bytes that are listed. */
export function formatIndexOf(blockSize: number, metadataBytes: number): number {
  return LBA_FORMATS.findIndex((one) => 1 << one.dataShift === blockSize && one.metadataBytes === metadataBytes);
}
