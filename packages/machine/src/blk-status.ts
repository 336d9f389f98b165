/** Block layer statuses as error numbers. Kernel counterpart: block/blk-core.c blk_errors. */
import {
  BLK_STS_AGAIN,
  BLK_STS_DEV_RESOURCE,
  BLK_STS_MEDIUM,
  BLK_STS_NOSPC,
  BLK_STS_NOTSUPP,
  BLK_STS_OFFLINE,
  BLK_STS_PROTECTION,
  BLK_STS_RESOURCE,
  BLK_STS_RESV_CONFLICT,
  BLK_STS_TARGET,
  BLK_STS_TIMEOUT,
  BLK_STS_TRANSPORT,
  type BlkStatus,
} from '@nvme-stack/blk-mq/ports';
import type { ErrnoCode } from '@nvme-stack/kernel';

const CODES = new Map<BlkStatus, ErrnoCode>([
  [BLK_STS_NOTSUPP, 'EOPNOTSUPP'],
  [BLK_STS_TIMEOUT, 'ETIMEDOUT'],
  [BLK_STS_NOSPC, 'ENOSPC'],
  [BLK_STS_TRANSPORT, 'ENOLINK'],
  [BLK_STS_TARGET, 'EREMOTEIO'],
  [BLK_STS_RESV_CONFLICT, 'EBADE'],
  [BLK_STS_MEDIUM, 'ENODATA'],
  [BLK_STS_PROTECTION, 'EILSEQ'],
  [BLK_STS_RESOURCE, 'ENOMEM'],
  [BLK_STS_DEV_RESOURCE, 'EBUSY'],
  [BLK_STS_AGAIN, 'EAGAIN'],
  [BLK_STS_OFFLINE, 'ENODEV'],
]);

/** The error number's name; EIO for whatever has none of its own. @kernel block/blk-core.c blk_status_to_errno */
export function blkStatusToErrno(status: BlkStatus): ErrnoCode {
  return CODES.get(status) ?? 'EIO';
}
