// Scatter gather lists: data block, segment and last segment descriptors as segments of host memory.
// Kernel counterpart: what drivers/nvme/host/pci.c nvme_pci_setup_sgls writes. Spec: [NVMe] 2.0 §4.1.2.
import type { ListReader } from './prp.js';
import type { SegmentList } from './segment-list.js';
import {
  SC_DATA_XFER_ERROR,
  SC_SGL_INVALID_COUNT,
  SC_SGL_INVALID_DATA,
  SC_SGL_INVALID_LAST,
  SC_SGL_INVALID_TYPE,
  SC_SUCCESS,
} from './status.js';

const TYPE_DATA_BLOCK = 0x00;
const TYPE_SEGMENT = 0x20;
const TYPE_LAST_SEGMENT = 0x30;
const DESCRIPTOR_BYTES = 16;
/** Descriptors of one command; bounds the work a hostile chain can cause. */
const DESCRIPTORS_MAX = 0x10000;
const CHUNK_DESCRIPTORS = 256;

/**
 * Maps lengthBytes at the descriptor in the command (address as two dwords, length, identifier byte) into segments,
 * which must be empty. Returns an NVMe status.
 */
export function mapSgl(
  segments: SegmentList,
  reader: ListReader,
  addressLo: number,
  addressHi: number,
  descriptorLength: number,
  identifier: number,
  lengthBytes: number,
): number {
  const address = addressHi * 0x100000000 + addressLo;
  if (identifier === TYPE_DATA_BLOCK) {
    if (descriptorLength < lengthBytes) return SC_SGL_INVALID_DATA;
    segments.add(address, lengthBytes);
    return SC_SUCCESS;
  }
  if (identifier !== TYPE_SEGMENT && identifier !== TYPE_LAST_SEGMENT) return SC_SGL_INVALID_LAST;
  return walkSegments(segments, reader, address, descriptorLength, identifier, lengthBytes);
}

function walkSegments(
  segments: SegmentList,
  reader: ListReader,
  firstAddress: number,
  firstLength: number,
  firstType: number,
  lengthBytes: number,
): number {
  let address = firstAddress;
  let bytes = firstLength;
  let isLast = firstType === TYPE_LAST_SEGMENT;
  let budget = DESCRIPTORS_MAX;
  for (;;) {
    if (bytes === 0 || bytes % DESCRIPTOR_BYTES !== 0) return SC_SGL_INVALID_LAST;
    const descriptors = bytes / DESCRIPTOR_BYTES;
    budget -= descriptors;
    if (budget < 0) return SC_SGL_INVALID_COUNT;
    const status = walkOneSegment(segments, reader, address, descriptors, isLast, lengthBytes);
    if (status !== CONTINUE) return status;
    const view = reader.listView;
    const at = ((descriptors - 1) % CHUNK_DESCRIPTORS) * DESCRIPTOR_BYTES;
    address = view.getUint32(at + 4, true) * 0x100000000 + view.getUint32(at, true);
    bytes = view.getUint32(at + 8, true);
    isLast = view.getUint8(at + 15) === TYPE_LAST_SEGMENT;
  }
}

const CONTINUE = -1;
const isSegment = (type: number): boolean => type === TYPE_SEGMENT || type === TYPE_LAST_SEGMENT;

/** Maps one segment's data blocks; CONTINUE if its last descriptor, left in the staging, points to another segment. */
function walkOneSegment(
  segments: SegmentList,
  reader: ListReader,
  address: number,
  descriptors: number,
  isLast: boolean,
  lengthBytes: number,
): number {
  const view = reader.listView;
  for (let i = 0; i < descriptors; i++) {
    const within = i % CHUNK_DESCRIPTORS;
    if (within === 0) {
      const count = Math.min(CHUNK_DESCRIPTORS, descriptors - i);
      if (reader.readList(address + i * DESCRIPTOR_BYTES, count * DESCRIPTOR_BYTES) !== 0) return SC_DATA_XFER_ERROR;
      // How a last segment ends is looked at first, as QEMU does.
      const isEnd = isLast && i + count === descriptors;
      if (isEnd && isSegment(view.getUint8(count * DESCRIPTOR_BYTES - 1))) return SC_SGL_INVALID_LAST;
    }
    const at = within * DESCRIPTOR_BYTES;
    const type = view.getUint8(at + 15);
    if (isSegment(type)) return i === descriptors - 1 ? CONTINUE : SC_SGL_INVALID_COUNT;
    if (type !== TYPE_DATA_BLOCK) return SC_SGL_INVALID_TYPE;
    const blockLength = view.getUint32(at + 8, true);
    if (blockLength === 0) continue;
    const left = lengthBytes - segments.totalBytes;
    // More than the data is not accepted: SGLS does not offer it.
    if (left === 0) return SC_SGL_INVALID_DATA;
    const blockAddress = view.getUint32(at + 4, true) * 0x100000000 + view.getUint32(at, true);
    segments.add(blockAddress, Math.min(left, blockLength));
  }
  return segments.totalBytes >= lengthBytes ? SC_SUCCESS : SC_SGL_INVALID_DATA;
}
