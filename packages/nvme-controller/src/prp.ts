// Physical region pages: two entries, or one entry and a chain of lists, as segments of host memory.
// Kernel counterpart: what drivers/nvme/host/pci.c nvme_pci_setup_prps writes. Spec: [NVMe] 2.0 §4.1.1.

import type { SegmentList } from './segment-list.js';
import { SC_DATA_XFER_ERROR, SC_PRP_INVALID_OFFSET, SC_SUCCESS } from './status.js';

/** What reads lists out of host memory: bytes land at the start of `list`; 0 = ok. */
export interface ListReader {
  /** Staging of one memory page at least. */
  readonly listView: DataView;
  readList(busAddr: number, lengthBytes: number): number;
}

/**
 * Maps lengthBytes at prp1/prp2 into segments, which must be empty. The addresses come as two dwords each. pageBytes is
 * CC.MPS's page. Returns an NVMe status. Every list entry is read once.
 */
export function mapPrp(
  segments: SegmentList,
  reader: ListReader,
  prp1Lo: number,
  prp1Hi: number,
  prp2Lo: number,
  prp2Hi: number,
  lengthBytes: number,
  pageBytes: number,
): number {
  const pageMask = pageBytes - 1;
  if ((prp1Lo & 3) !== 0) return SC_PRP_INVALID_OFFSET;
  const first = Math.min(lengthBytes, pageBytes - (prp1Lo & pageMask));
  segments.add(prp1Hi * 0x100000000 + prp1Lo, first);
  const remaining = lengthBytes - first;
  if (remaining === 0) return SC_SUCCESS;
  if (remaining > pageBytes) return mapPrpList(segments, reader, prp2Lo, prp2Hi, remaining, pageBytes);
  if ((prp2Lo & pageMask) !== 0) return SC_PRP_INVALID_OFFSET;
  segments.add(prp2Hi * 0x100000000 + prp2Lo, remaining);
  return SC_SUCCESS;
}

/** Walks lists; the last entry of a full list page points to the next list, and only then. */
function mapPrpList(
  segments: SegmentList,
  reader: ListReader,
  listLo: number,
  listHi: number,
  lengthBytes: number,
  pageBytes: number,
): number {
  const pageMask = pageBytes - 1;
  if ((listLo & 7) !== 0) return SC_PRP_INVALID_OFFSET;
  let remaining = lengthBytes;
  let low = listLo;
  let high = listHi;
  for (;;) {
    const room = (pageBytes - (low & pageMask)) / 8;
    const wanted = Math.floor((remaining + pageMask) / pageBytes);
    const isChained = wanted > room;
    const entries = isChained ? room : wanted;
    if (reader.readList(high * 0x100000000 + low, entries * 8) !== 0) return SC_DATA_XFER_ERROR;
    const view = reader.listView;
    const data = isChained ? entries - 1 : entries;
    for (let i = 0; i < data; i++) {
      const entryLo = view.getUint32(i * 8, true);
      if ((entryLo & pageMask) !== 0) return SC_PRP_INVALID_OFFSET;
      const length = Math.min(remaining, pageBytes);
      segments.add(view.getUint32(i * 8 + 4, true) * 0x100000000 + entryLo, length);
      remaining -= length;
    }
    if (!isChained) return SC_SUCCESS;
    low = view.getUint32(data * 8, true);
    high = view.getUint32(data * 8 + 4, true);
    if ((low & pageMask) !== 0) return SC_PRP_INVALID_OFFSET;
  }
}
