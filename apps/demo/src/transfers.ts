/** A write, a flush and a read of what was written, each with its trace; or a read alone where nothing may be written. */
import type { Machine } from '@nvme-stack/machine';
import type { FoundDisk, TraceEntry } from './session.js';

const LENGTH_BYTES = 4096;
const OFFSET_BYTES = 8192;

/** One call of the demo at a disk. */
export interface Transfer {
  readonly operation: 'write' | 'flush' | 'read';
  readonly disk: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Virtual time. */
  readonly startNs: number;
  readonly durationNs: number;
  /** Every byte is what it should be; of a write and its flush, as read from the disk afterwards. Null: nothing to compare with. */
  readonly verified: boolean | null;
  readonly entries: readonly TraceEntry[];
}

/** Writes, flushes, reads back. An image's bytes are written as they are: what is on it stays what it was. */
export async function transfers(machine: Machine, found: FoundDisk): Promise<Transfer[]> {
  const { name, readOnly, onImage, sizeBytes, blockSizeBytes } = found;
  const disk = machine.disk(name);
  const lengthBytes = Math.min(Math.max(LENGTH_BYTES, blockSizeBytes), sizeBytes);
  const offsetBytes = sizeBytes >= OFFSET_BYTES + lengthBytes ? OFFSET_BYTES : 0;
  const place = { disk: name, offsetBytes, lengthBytes };
  const measure = async <T>(main: () => Promise<T>) => {
    const from = machine.trace.entries.length;
    const startNs = machine.nowNs;
    const value = await main();
    return {
      value,
      seen: { startNs, durationNs: machine.nowNs - startNs, entries: machine.trace.entries.slice(from) },
    };
  };
  if (readOnly) {
    const read = await measure(() => disk.read(offsetBytes, lengthBytes));
    return [{ operation: 'read', ...place, ...read.seen, verified: null }];
  }
  const data = onImage ? await disk.read(offsetBytes, lengthBytes) : pattern(lengthBytes);
  const write = await measure(() => disk.write(offsetBytes, data));
  const flush = await measure(() => disk.flush());
  const read = await measure(() => disk.read(offsetBytes, lengthBytes));
  const verified = read.value.length === data.length && read.value.every((byte, i) => byte === data[i]);
  return [
    { operation: 'write', ...place, ...write.seen, verified },
    { operation: 'flush', ...place, offsetBytes: 0, lengthBytes: 0, ...flush.seen, verified },
    { operation: 'read', ...place, ...read.seen, verified },
  ];
}

/** Bytes that tell their place. */
function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
}
