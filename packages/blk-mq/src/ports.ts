/**
 * What blk-mq owns: bios, requests, tag sets, the operations a driver implements, disks and partitions.
 * Types and constants only. Counterparts: include/linux/blk-mq.h, blkdev.h, bio.h, blk_types.h.
 *
 * Hot path: everything from `submitBio` to `endIo` is synchronous and allocates nothing. Requests and the driver's
 * per-request data are made once per tag; bios are made once by their user and reused.
 */

export * from './ports/bio.js';
export * from './ports/block-layer.js';
export * from './ports/integrity.js';
export * from './ports/operations.js';
export * from './ports/request.js';
