/** Operations, flags and statuses. Counterpart: include/linux/blk_types.h. Types and constants only. */

/** @kernel include/linux/blk_types.h req_op */
export const REQ_OP_READ = 0;
export const REQ_OP_WRITE = 1;
export const REQ_OP_FLUSH = 2;
export const REQ_OP_DISCARD = 3;
export const REQ_OP_SECURE_ERASE = 5;
export const REQ_OP_WRITE_ZEROES = 9;
export const REQ_OP_DRV_IN = 34;
export const REQ_OP_DRV_OUT = 35;
export const REQ_OP_MASK = 0xff;

/** @kernel include/linux/blk_types.h req_flag_bits */
export const REQ_FAILFAST_DEV = 1 << 8;
export const REQ_FAILFAST_TRANSPORT = 1 << 9;
export const REQ_FAILFAST_DRIVER = 1 << 10;
export const REQ_SYNC = 1 << 11;
export const REQ_META = 1 << 12;
export const REQ_PRIO = 1 << 13;
export const REQ_NOMERGE = 1 << 14;
export const REQ_IDLE = 1 << 15;
/** The bio carries metadata for the blocks. */
export const REQ_INTEGRITY = 1 << 16;
export const REQ_FUA = 1 << 17;
export const REQ_PREFLUSH = 1 << 18;
export const REQ_RAHEAD = 1 << 19;
export const REQ_NOWAIT = 1 << 21;
export const REQ_POLLED = 1 << 22;
/** The driver's own. @kernel include/linux/blk_types.h REQ_DRV */
export const REQ_DRV = 1 << 25;

/** Result of I/O, 0 is success; kept as a small number. @kernel include/linux/blk_types.h blk_status_t */
export const BLK_STS_OK = 0;
export const BLK_STS_NOTSUPP = 1;
export const BLK_STS_TIMEOUT = 2;
export const BLK_STS_NOSPC = 3;
export const BLK_STS_TRANSPORT = 4;
export const BLK_STS_TARGET = 5;
export const BLK_STS_RESV_CONFLICT = 6;
export const BLK_STS_MEDIUM = 7;
export const BLK_STS_PROTECTION = 8;
export const BLK_STS_RESOURCE = 9;
export const BLK_STS_IOERR = 10;
export const BLK_STS_DM_REQUEUE = 11;
export const BLK_STS_AGAIN = 12;
export const BLK_STS_DEV_RESOURCE = 13;
export const BLK_STS_OFFLINE = 16;
export type BlkStatus = number;

export const SECTOR_SHIFT = 9;
export const SECTOR_SIZE = 512;
