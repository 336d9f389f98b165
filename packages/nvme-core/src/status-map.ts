/**
 * What an NVMe status means to the block layer, and what a block status is as an errno.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_error_status, block/blk-core.c blk_errors. [NVMe] 4.2.3.
 */
import {
  BLK_STS_AGAIN,
  BLK_STS_DEV_RESOURCE,
  BLK_STS_IOERR,
  BLK_STS_MEDIUM,
  BLK_STS_NOSPC,
  BLK_STS_NOTSUPP,
  BLK_STS_OFFLINE,
  BLK_STS_OK,
  BLK_STS_PROTECTION,
  BLK_STS_RESOURCE,
  BLK_STS_RESV_CONFLICT,
  BLK_STS_TARGET,
  BLK_STS_TIMEOUT,
  BLK_STS_TRANSPORT,
  type BlkStatus,
} from '@nvme-stack/blk-mq/ports';
import { Errno, type ErrnoCode, errnoName, KernelError } from '@nvme-stack/kernel';
import * as sc from '@nvme-stack/nvme-protocol';
import type { KnownStatuses } from './eras.js';

type StatusRows = readonly (readonly [BlkStatus, readonly number[]])[];

/** Until 4.12. */
const CAPACITY: StatusRows = [
  [BLK_STS_OK, [sc.NVME_SC_SUCCESS]],
  [BLK_STS_NOSPC, [sc.NVME_SC_CAP_EXCEEDED]],
];

/** Until 4.14, where 183h was still taken for an optional command that the controller has not. */
const MEDIA: StatusRows = [
  ...CAPACITY,
  [BLK_STS_NOTSUPP, [sc.NVME_SC_CMD_SIZE_LIM_EXCEEDED]],
  [BLK_STS_MEDIUM, [sc.NVME_SC_WRITE_FAULT, sc.NVME_SC_READ_ERROR, sc.NVME_SC_UNWRITTEN_BLOCK]],
];

const ALL: StatusRows = [
  ...CAPACITY,
  [BLK_STS_TARGET, [sc.NVME_SC_LBA_RANGE, sc.NVME_SC_CMD_INTERRUPTED, sc.NVME_SC_NS_NOT_READY]],
  [
    BLK_STS_NOTSUPP,
    [sc.NVME_SC_BAD_ATTRIBUTES, sc.NVME_SC_INVALID_OPCODE, sc.NVME_SC_INVALID_FIELD, sc.NVME_SC_INVALID_NS],
  ],
  [
    BLK_STS_MEDIUM,
    [
      sc.NVME_SC_WRITE_FAULT,
      sc.NVME_SC_READ_ERROR,
      sc.NVME_SC_UNWRITTEN_BLOCK,
      sc.NVME_SC_ACCESS_DENIED,
      sc.NVME_SC_READ_ONLY,
      sc.NVME_SC_COMPARE_FAILED,
    ],
  ],
  [
    BLK_STS_PROTECTION,
    [sc.NVME_SC_GUARD_CHECK, sc.NVME_SC_APPTAG_CHECK, sc.NVME_SC_REFTAG_CHECK, sc.NVME_SC_INVALID_PI],
  ],
  [BLK_STS_RESV_CONFLICT, [sc.NVME_SC_RESERVATION_CONFLICT]],
  [BLK_STS_TRANSPORT, [sc.NVME_SC_HOST_PATH_ERROR]],
];

function tableOf(rows: StatusRows): Uint8Array {
  const table = new Uint8Array(sc.NVME_SCT_SC_MASK + 1).fill(BLK_STS_IOERR);
  for (const [block, statuses] of rows) for (const status of statuses) table[status] = block;
  return table;
}

const TABLES: Readonly<Record<KnownStatuses, Uint8Array>> = {
  all: tableOf(ALL),
  media: tableOf(MEDIA),
  capacity: tableOf(CAPACITY),
};

/** Block status of an NVMe status; what the era's table does not name is an I/O error. Any context. @kernel drivers/nvme/host/core.c nvme_error_status */
export function nvmeErrorStatus(known: KnownStatuses, status: number): BlkStatus {
  return TABLES[known][status & sc.NVME_SCT_SC_MASK];
}

/** Numbers that are not in the kernel package's table: ENOLINK, EREMOTEIO, EBADE, EILSEQ. */
const ENOLINK = 67;
const EREMOTEIO = 121;
const EBADE = 52;
const EILSEQ = 84;

const errnoByBlkStatus: readonly (readonly [BlkStatus, number])[] = [
  [BLK_STS_OK, 0],
  [BLK_STS_NOTSUPP, Errno.EOPNOTSUPP],
  [BLK_STS_TIMEOUT, Errno.ETIMEDOUT],
  [BLK_STS_NOSPC, Errno.ENOSPC],
  [BLK_STS_TRANSPORT, ENOLINK],
  [BLK_STS_TARGET, EREMOTEIO],
  [BLK_STS_RESV_CONFLICT, EBADE],
  [BLK_STS_MEDIUM, Errno.ENODATA],
  [BLK_STS_PROTECTION, EILSEQ],
  [BLK_STS_RESOURCE, Errno.ENOMEM],
  [BLK_STS_AGAIN, Errno.EAGAIN],
  [BLK_STS_DEV_RESOURCE, Errno.EBUSY],
  [BLK_STS_OFFLINE, Errno.ENODEV],
];

/** Negative errno of a block status. @kernel block/blk-core.c blk_status_to_errno */
export function blkStatusToErrno(status: BlkStatus): number {
  const row = errnoByBlkStatus.find(([key]) => key === status);
  return row === undefined ? -Errno.EIO : 0 - row[1];
}

/** Throws the KernelError of a negative errno; one without a name in the table becomes EIO. */
export function throwErrno(errno: number, what: string): never {
  const name = errnoName(errno);
  throw new KernelError(name in Errno ? (name as ErrnoCode) : 'EIO', what);
}
