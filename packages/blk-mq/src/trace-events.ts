/**
 * Trace events of the block layer and the letters that name an operation.
 * Kernel counterpart: include/trace/events/block.h, block/blk-core.c blk_fill_rwbs.
 */
import type { TraceEventType } from '@nvme-stack/kernel';
import type { Blk } from './blk.js';
import type { Disk } from './gendisk.js';
import type { Bio, Gendisk } from './ports.js';
import {
  REQ_FUA,
  REQ_META,
  REQ_OP_DISCARD,
  REQ_OP_DRV_IN,
  REQ_OP_DRV_OUT,
  REQ_OP_FLUSH,
  REQ_OP_MASK,
  REQ_OP_READ,
  REQ_OP_SECURE_ERASE,
  REQ_OP_WRITE,
  REQ_OP_WRITE_ZEROES,
  REQ_PREFLUSH,
  REQ_RAHEAD,
  REQ_SYNC,
  SECTOR_SIZE,
} from './ports.js';

const BIO_FIELDS = ['dev', 'sector', 'nr_sector'] as const;
const RQ_FIELDS = ['dev', 'sector', 'nr_sector', 'bytes'] as const;

const event = (name: string, fields: readonly string[], textField?: string): TraceEventType => ({
  name,
  kind: 'block',
  fields,
  textField,
});

export const BLOCK_BIO_QUEUE = event('block_bio_queue', BIO_FIELDS, 'rwbs');
export const BLOCK_GETRQ = event('block_getrq', BIO_FIELDS, 'rwbs');
export const BLOCK_BIO_FRONTMERGE = event('block_bio_frontmerge', BIO_FIELDS, 'rwbs');
export const BLOCK_BIO_BACKMERGE = event('block_bio_backmerge', BIO_FIELDS, 'rwbs');
export const BLOCK_SPLIT = event('block_split', ['dev', 'sector', 'new_sector'], 'rwbs');
export const BLOCK_BIO_REMAP = event('block_bio_remap', [...BIO_FIELDS, 'old_dev'], 'rwbs');
export const BLOCK_PLUG = event('block_plug', []);
export const BLOCK_UNPLUG = event('block_unplug', ['nr_rq', 'explicit']);
export const BLOCK_RQ_INSERT = event('block_rq_insert', RQ_FIELDS, 'rwbs');
export const BLOCK_RQ_ISSUE = event('block_rq_issue', RQ_FIELDS, 'rwbs');
export const BLOCK_RQ_REQUEUE = event('block_rq_requeue', BIO_FIELDS, 'rwbs');
export const BLOCK_RQ_COMPLETE = event('block_rq_complete', ['dev', 'sector', 'nr_sector', 'error'], 'rwbs');

/** A disk's dev_t as one number; 0 for a queue without a disk. */
export function devNumber(disk: Gendisk | null): number {
  const devt = disk === null || !disk.live ? null : (disk as Disk).devt;
  return devt === null ? 0 : devt.major * 1048576 + devt.minor;
}

const OP_LETTER: Readonly<Record<number, string>> = {
  [REQ_OP_READ]: 'R',
  [REQ_OP_WRITE]: 'W',
  [REQ_OP_FLUSH]: 'F',
  [REQ_OP_DISCARD]: 'D',
  [REQ_OP_SECURE_ERASE]: 'DE',
  [REQ_OP_WRITE_ZEROES]: 'WZ',
  [REQ_OP_DRV_IN]: 'R',
  [REQ_OP_DRV_OUT]: 'W',
};

/** Letters of an operation and its flags: `WS`, `FWFS`. @kernel block/blk-core.c blk_fill_rwbs */
export function rwbs(opf: number): string {
  let text = (opf & REQ_PREFLUSH) !== 0 ? 'F' : '';
  text += OP_LETTER[opf & REQ_OP_MASK] ?? 'N';
  if ((opf & REQ_FUA) !== 0) text += 'F';
  if ((opf & REQ_RAHEAD) !== 0) text += 'A';
  if ((opf & REQ_SYNC) !== 0) text += 'S';
  if ((opf & REQ_META) !== 0) text += 'M';
  return text;
}

/** A bio that was sent to one disk goes to another. @kernel include/trace/events/block.h block_bio_remap */
export function traceRemap(blk: Blk, bio: Bio, from: Gendisk): void {
  if (!blk.events) return;
  const sectors = bio.sizeBytes / SECTOR_SIZE;
  blk.trace.event(BLOCK_BIO_REMAP, devNumber(bio.disk), bio.sector, sectors, devNumber(from), rwbs(bio.opf));
}

/** @kernel block/blk-core.c blk_op_str */
export function blkOpStr(op: number): string {
  return OP_NAME[op] ?? 'UNKNOWN';
}

const OP_NAME: Readonly<Record<number, string>> = {
  [REQ_OP_READ]: 'READ',
  [REQ_OP_WRITE]: 'WRITE',
  [REQ_OP_FLUSH]: 'FLUSH',
  [REQ_OP_DISCARD]: 'DISCARD',
  [REQ_OP_SECURE_ERASE]: 'SECURE_ERASE',
  [REQ_OP_WRITE_ZEROES]: 'WRITE_ZEROES',
  [REQ_OP_DRV_IN]: 'DRV_IN',
  [REQ_OP_DRV_OUT]: 'DRV_OUT',
};
