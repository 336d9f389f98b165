/**
 * The line Linux prints for a failed request.
 * Kernel counterpart: block/blk-core.c blk_errors, print_req_error, blk_update_request; block/blk-mq.c blk_print_req_error.
 */
import { Errno, type ErrnoCode } from '@nvme-stack/kernel';
import type { Blk } from './blk.js';
import * as P from './ports.js';
import type { RequestImpl } from './request.js';
import { blkOpStr } from './trace-events.js';

interface StatusText {
  readonly errno: ErrnoCode;
  readonly name: string;
}

/** @kernel block/blk-core.c blk_errors */
const STATUS: Readonly<Record<number, StatusText>> = {
  [P.BLK_STS_NOTSUPP]: { errno: 'EOPNOTSUPP', name: 'operation not supported' },
  [P.BLK_STS_TIMEOUT]: { errno: 'ETIMEDOUT', name: 'timeout' },
  [P.BLK_STS_NOSPC]: { errno: 'ENOSPC', name: 'critical space allocation' },
  [P.BLK_STS_TRANSPORT]: { errno: 'EIO', name: 'recoverable transport' },
  [P.BLK_STS_TARGET]: { errno: 'EIO', name: 'critical target' },
  [P.BLK_STS_RESV_CONFLICT]: { errno: 'EIO', name: 'reservation conflict' },
  [P.BLK_STS_MEDIUM]: { errno: 'ENODATA', name: 'critical medium' },
  [P.BLK_STS_PROTECTION]: { errno: 'EILSEQ', name: 'protection' },
  [P.BLK_STS_RESOURCE]: { errno: 'ENOMEM', name: 'kernel resource' },
  [P.BLK_STS_IOERR]: { errno: 'EIO', name: 'I/O' },
  [P.BLK_STS_DM_REQUEUE]: { errno: 'EIO', name: 'dm internal retry' },
  [P.BLK_STS_AGAIN]: { errno: 'EAGAIN', name: 'nonblocking retry' },
  [P.BLK_STS_DEV_RESOURCE]: { errno: 'EBUSY', name: 'device resource' },
  [P.BLK_STS_OFFLINE]: { errno: 'ENODEV', name: 'device offline' },
};

/** The error of a status, by name. @kernel block/blk-core.c blk_status_to_errno */
export function blkStatusToErrno(status: P.BlkStatus): ErrnoCode {
  return STATUS[status]?.errno ?? 'EIO';
}

/** The same as a negative number; 0 for success. */
export function errnoOfStatus(status: P.BlkStatus): number {
  return status === P.BLK_STS_OK ? 0 : -Errno[blkStatusToErrno(status)];
}

/** The name of a status in the log. */
function nameOf(blk: Blk, status: P.BlkStatus): string {
  if (status === P.BLK_STS_RESV_CONFLICT) return blk.era.reservationName;
  return STATUS[status]?.name ?? 'I/O';
}

/** Until 4.12 only these had names of their own. */
const NAMED_BY_4_10: readonly P.BlkStatus[] = [
  P.BLK_STS_TIMEOUT,
  P.BLK_STS_NOSPC,
  P.BLK_STS_TRANSPORT,
  P.BLK_STS_TARGET,
  P.BLK_STS_RESV_CONFLICT,
  P.BLK_STS_MEDIUM,
];

/** The line of kernels before 5.2: what failed, and where. */
function shortLine(blk: Blk, rq: RequestImpl, status: P.BlkStatus): string {
  const caller = blk.era.errorLine;
  const isNamed = caller === 'print_req_error' || NAMED_BY_4_10.includes(status);
  const name = isNamed ? nameOf(blk, status) : 'I/O';
  return `${caller}: ${name} error, dev ${rq.q.disk?.name ?? '?'}, sector ${rq.sector}`;
}

/** @kernel block/blk-mq.c blk_print_req_error */
export function printReqError(blk: Blk, rq: RequestImpl, status: P.BlkStatus): void {
  if (!blk.errorLimit.allow()) return;
  if (blk.era.errorLine !== 'full') {
    blk.kernel.printk.print('err', shortLine(blk, rq, status));
    return;
  }
  const op = rq.cmdFlags & P.REQ_OP_MASK;
  const flags = rq.cmdFlags & ~P.REQ_OP_MASK;
  blk.kernel.printk.print(
    'err',
    `${nameOf(blk, status)} error, dev ${rq.q.disk?.name ?? '?'}, sector ${rq.sector} ` +
      `op 0x${op.toString(16)}:(${blkOpStr(op)}) flags 0x${flags.toString(16)} ` +
      `phys_seg ${rq.nrPhysSegments} prio class ${blk.era.prioClass}`,
  );
}
