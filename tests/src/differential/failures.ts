/** What a host knows of its commands that failed: what the error information log must say of them. [NVMe] 5.1.12.1.2. */
import type { Outcome } from './raw-host.js';

const ENTRY_BYTES = 64;
const ABORTED: ReadonlySet<number> = new Set([7, 8]);
const STATUS_CODE = 0x7ff;
/** I/O commands whose dwords 10 and 11 are a logical block address. */
const WITH_LBA: ReadonlySet<number> = new Set([1, 2, 4, 5, 8, 0xc, 0x19]);
const NO_PARAMETER = 0xffff;

/** The failed commands of a controller since its power came on. */
export class Failures {
  count = 0;
  /** The entry of the newest; zeroes while nothing has failed. */
  entry = new Uint8Array(ENTRY_BYTES);

  /** Takes notice of a completion; commands that were aborted are no errors. */
  note(queueId: number, cid: number, sqe: Uint8Array, { status }: Pick<Outcome, 'status'>): void {
    if (status === 0 || ABORTED.has(status & STATUS_CODE)) return;
    this.count++;
    const command = new DataView(sqe.buffer, sqe.byteOffset, sqe.length);
    this.entry = new Uint8Array(ENTRY_BYTES);
    const view = new DataView(this.entry.buffer);
    view.setUint32(0, this.count, true);
    view.setUint16(8, queueId, true);
    view.setUint16(10, cid, true);
    view.setUint16(12, status << 1, true);
    view.setUint16(14, NO_PARAMETER, true);
    if (queueId !== 0 && WITH_LBA.has(sqe[0] as number)) {
      view.setUint32(16, command.getUint32(40, true), true);
      view.setUint32(20, command.getUint32(44, true), true);
    }
    view.setUint32(24, command.getUint32(4, true), true);
  }
}
