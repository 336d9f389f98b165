/**
 * An empty qcow2 image of 512-byte clusters: a medium that knows of every block whether it is deallocated, as ours does.
 * A raw file knows it of the host's file system's blocks only.
 */

const CLUSTER_BITS = 9;
const CLUSTER = 1 << CLUSTER_BITS;
const VERSION = 3;
const HEADER_BYTES = 104;
/** References are counted in 16 bits. */
const REFCOUNT_ORDER = 4;
const ENTRY_BYTES = 8;
/** Where what is, in clusters: counts of references, and the table of the tables of clusters. */
const REFCOUNT_TABLE = 1;
const REFCOUNT_BLOCK = 2;
const L1_TABLE = 3;

/** The image of a medium of so many bytes, at most 2 MiB. */
export function emptyQcow2(sizeBytes: number): Uint8Array {
  const l1Entries = Math.ceil(sizeBytes / CLUSTER / (CLUSTER / ENTRY_BYTES));
  const bytes = new Uint8Array((L1_TABLE + 1) * CLUSTER);
  if (l1Entries * ENTRY_BYTES > CLUSTER) throw new RangeError(`sizeBytes is ${sizeBytes}; allowed: at most 2 MiB`);
  const view = new DataView(bytes.buffer);
  const put64 = (at: number, value: number): void => view.setUint32(at + 4, value);
  bytes.set([0x51, 0x46, 0x49, 0xfb]);
  view.setUint32(4, VERSION);
  view.setUint32(20, CLUSTER_BITS);
  put64(24, sizeBytes);
  view.setUint32(36, l1Entries);
  put64(40, L1_TABLE * CLUSTER);
  put64(48, REFCOUNT_TABLE * CLUSTER);
  view.setUint32(56, 1);
  view.setUint32(96, REFCOUNT_ORDER);
  view.setUint32(100, HEADER_BYTES);
  put64(REFCOUNT_TABLE * CLUSTER, REFCOUNT_BLOCK * CLUSTER);
  for (let cluster = 0; cluster <= L1_TABLE; cluster++) view.setUint16(REFCOUNT_BLOCK * CLUSTER + 2 * cluster, 1);
  return bytes;
}
