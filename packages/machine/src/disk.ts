/**
 * A disk as the front door shows it: bytes in, bytes out, through bios and the whole stack.
 * Kernel counterpart: block/fops.c (direct I/O).
 */
import {
  type Bio,
  BLK_STS_OK,
  type BlkMq,
  type BlkStatus,
  REQ_IDLE,
  REQ_OP_DISCARD,
  REQ_OP_READ,
  REQ_OP_WRITE,
  REQ_OP_WRITE_ZEROES,
  REQ_PREFLUSH,
  REQ_SYNC,
  SECTOR_SHIFT,
  WRITE_LIFE_EXTREME,
  WRITE_LIFE_LONG,
  WRITE_LIFE_MEDIUM,
  WRITE_LIFE_NONE,
  WRITE_LIFE_NOT_SET,
  WRITE_LIFE_SHORT,
} from '@nvme-stack/blk-mq/ports';
import { Completion, complete, KernelError, PAGE_SIZE, waitForCompletion } from '@nvme-stack/kernel';
import { blkStatusToErrno } from './blk-status.js';
import { allocBuffer } from './io-buffer.js';
import type { Disk, IoBuffer, Subsystems, WriteHint, WriteLayout } from './ports.js';

/** Pages of one bio, and how many bios are in flight at once. @kernel include/linux/bio.h BIO_MAX_VECS */
const BIO_MAX_VECS = 256;
const BIOS_IN_FLIGHT = 8;

/** How a front-door method becomes a task and an entry of the journal. */
export type Caller = <T>(method: string, args: readonly unknown[], main: () => Promise<T>) => Promise<T>;

/** A handle on a disk or partition; throws ENODEV when there is none of that name. */
export function openDisk(subsystems: Subsystems, name: string, call: Caller): Disk {
  const { blkMq } = subsystems;
  const found = blkMq.lookup(name);
  if (found === null) throw new KernelError('ENODEV', `there is no disk ${name}`);
  const blockSizeBytes = found.disk.queue.limits.logicalBlockSizeBytes;
  const sizeBytes = (): number => (blkMq.lookup(name)?.sectors ?? 0) * 512;
  const check = (offsetBytes: number, lengthBytes: number): void => {
    const now = blkMq.lookup(name);
    if (now === null || now.disk.queue.dying) throw new KernelError('ENODEV', `${name} is gone`);
    checkRange(name, offsetBytes, lengthBytes, blockSizeBytes, sizeBytes());
  };
  return {
    name,
    blockSizeBytes,
    get sizeBytes() {
      return sizeBytes();
    },
    get partitions() {
      return blkMq.lookup(name)?.disk.partitions ?? [];
    },
    read: async (offsetBytes, lengthBytes) => {
      check(offsetBytes, lengthBytes);
      return call('disk.read', [name, offsetBytes, lengthBytes], () =>
        read(subsystems, name, offsetBytes, lengthBytes),
      );
    },
    write: async (offsetBytes, bytes, layout) => {
      check(offsetBytes, bytes.length);
      hintOf(name, subsystems, layout?.writeHint);
      const copy = bytes.slice();
      return call('disk.write', [name, offsetBytes, copy, layout], () =>
        write(subsystems, name, offsetBytes, copy, layout),
      );
    },
    flush: () => call('disk.flush', [name], () => simple(subsystems, name, REQ_OP_WRITE | REQ_PREFLUSH, 0, 0)),
    discard: async (offsetBytes, lengthBytes) => {
      check(offsetBytes, lengthBytes);
      return call('disk.discard', [name, offsetBytes, lengthBytes], () =>
        simple(subsystems, name, REQ_OP_DISCARD, offsetBytes, lengthBytes),
      );
    },
    writeZeroes: async (offsetBytes, lengthBytes) => {
      check(offsetBytes, lengthBytes);
      return call('disk.writeZeroes', [name, offsetBytes, lengthBytes], () =>
        simple(subsystems, name, REQ_OP_WRITE_ZEROES, offsetBytes, lengthBytes),
      );
    },
  };
}

const HINTS: Readonly<Record<WriteHint, number>> = {
  none: WRITE_LIFE_NONE,
  short: WRITE_LIFE_SHORT,
  medium: WRITE_LIFE_MEDIUM,
  long: WRITE_LIFE_LONG,
  extreme: WRITE_LIFE_EXTREME,
};

/** The hint as bios have it; not set where they have none. Throws EINVAL. @kernel fs/fcntl.c rw_hint_valid */
function hintOf(name: string, { blkMq }: Subsystems, hint: WriteHint | undefined): number {
  if (hint === undefined) return WRITE_LIFE_NOT_SET;
  if (!Object.hasOwn(HINTS, hint)) {
    const allowed = Object.keys(HINTS).join(', ');
    throw new KernelError('EINVAL', `${name}: writeHint is ${JSON.stringify(hint)}; allowed are ${allowed}`);
  }
  if (blkMq.writeHints === 'unknown')
    throw new KernelError('EINVAL', `${name}: writeHint is "${hint}"; this kernel allows none`);
  return blkMq.writeHints === 'ignored' ? WRITE_LIFE_NOT_SET : HINTS[hint];
}

function checkRange(name: string, offset: number, length: number, block: number, size: number): void {
  const fits = (value: number): boolean => value >= 0 && value % block === 0;
  if (!fits(offset)) refuse(name, 'offset', offset, `a multiple of ${block}, at least 0`);
  if (!fits(length)) refuse(name, 'length', length, `a multiple of ${block}, at least 0`);
  if (offset + length > size) refuse(name, 'end', offset + length, `at most ${size}`);
}

function refuse(name: string, field: string, value: number, allowed: string): never {
  throw new KernelError('EINVAL', `${name}: ${field} is ${value}; allowed: ${allowed}`);
}

async function read(subsystems: Subsystems, name: string, offset: number, length: number): Promise<Uint8Array> {
  if (length === 0) return new Uint8Array(0);
  const buffer = allocBuffer(subsystems.kernel, length, 'direct read');
  try {
    await transfer(subsystems, name, REQ_OP_READ, offset, buffer);
    return buffer.read(0, length);
  } finally {
    buffer.free();
  }
}

async function write(
  subsystems: Subsystems,
  name: string,
  offset: number,
  bytes: Uint8Array,
  layout?: WriteLayout,
): Promise<void> {
  if (bytes.length === 0) return;
  const buffer = allocBuffer(subsystems.kernel, bytes.length, 'direct write', layout?.pieceBytes);
  try {
    buffer.write(0, bytes);
    await blkdevWriteIter(subsystems, name, offset, buffer, hintOf(name, subsystems, layout?.writeHint));
  } finally {
    buffer.free();
  }
}

/** @kernel block/fops.c blkdev_write_iter */
async function blkdevWriteIter(
  subsystems: Subsystems,
  name: string,
  offset: number,
  buffer: IoBuffer,
  writeHint: number,
): Promise<void> {
  const { blkMq } = subsystems;
  const plug = blkMq.writesArePlugged ? blkMq.blkStartPlug() : null;
  try {
    await transfer(subsystems, name, REQ_OP_WRITE | REQ_SYNC | REQ_IDLE, offset, buffer, writeHint);
  } finally {
    if (plug !== null) blkMq.blkFinishPlug(plug);
  }
}

/** One bio without data: flush, discard, write zeroes. */
async function simple(
  subsystems: Subsystems,
  name: string,
  opf: number,
  offset: number,
  length: number,
): Promise<void> {
  const { blkMq } = subsystems;
  if (length === 0 && (opf & REQ_PREFLUSH) === 0) return;
  const bio = blkMq.allocBio(0);
  aim(blkMq, bio, name, opf, offset);
  bio.sizeBytes = length;
  throwStatus(await blkMq.submitBioWait(bio), name);
}

/** Moves a whole buffer, several bios at a time; the first error counts. */
async function transfer(
  subsystems: Subsystems,
  name: string,
  opf: number,
  offset: number,
  buffer: IoBuffer,
  writeHint = WRITE_LIFE_NOT_SET,
): Promise<void> {
  const { blkMq, kernel } = subsystems;
  const bytesPerBio = BIO_MAX_VECS * PAGE_SIZE;
  if (buffer.sizeBytes <= bytesPerBio) {
    const bio = blkMq.allocBio(buffer.pages.length);
    aim(blkMq, bio, name, opf, offset);
    bio.writeHint = writeHint;
    fill(bio, buffer, 0, buffer.sizeBytes);
    throwStatus(await blkMq.submitBioWait(bio), name);
    return;
  }
  const done = new Completion(kernel, `bios of ${name}`);
  let status: BlkStatus = BLK_STS_OK;
  const free: Bio[] = Array.from({ length: BIOS_IN_FLIGHT }, () => blkMq.allocBio(BIO_MAX_VECS));
  const endIo = (bio: Bio): void => {
    if (status === BLK_STS_OK) status = bio.status;
    free.push(bio);
    complete(done);
  };
  for (let start = 0; start < buffer.sizeBytes; start += bytesPerBio) {
    if (free.length === 0) await waitForCompletion(done);
    const bio = free.pop() as Bio;
    aim(blkMq, bio, name, opf, offset + start);
    bio.writeHint = writeHint;
    fill(bio, buffer, start, Math.min(bytesPerBio, buffer.sizeBytes - start));
    bio.endIo = endIo;
    blkMq.submitBio(bio);
  }
  while (free.length < BIOS_IN_FLIGHT) await waitForCompletion(done);
  throwStatus(status, name);
}

function aim(blkMq: BlkMq, bio: Bio, name: string, opf: number, offset: number): void {
  const found = blkMq.lookup(name);
  if (found === null) throw new KernelError('ENODEV', `${name} is gone`);
  bio.disk = found.disk;
  bio.opf = opf;
  bio.sector = found.startSector + Math.floor(offset / (1 << SECTOR_SHIFT));
  bio.status = BLK_STS_OK;
  bio.vcnt = 0;
  bio.sizeBytes = 0;
}

/** Gives the bio its pages; neighbours in RAM become one vector. @kernel block/bio.c bio_add_page */
function fill(bio: Bio, buffer: IoBuffer, start: number, length: number): void {
  let page = Math.floor(start / PAGE_SIZE);
  let endOfLast = -1;
  for (let done = 0; done < length; done += PAGE_SIZE) {
    const address = buffer.pages[page++] as number;
    const piece = Math.min(PAGE_SIZE, length - done);
    if (address === endOfLast) {
      bio.vecLengthBytes[bio.vcnt - 1] = (bio.vecLengthBytes[bio.vcnt - 1] as number) + piece;
    } else {
      bio.vecAddr[bio.vcnt] = address;
      bio.vecLengthBytes[bio.vcnt++] = piece;
    }
    endOfLast = address + piece;
  }
  bio.sizeBytes = length;
}

function throwStatus(status: BlkStatus, name: string): void {
  if (status !== BLK_STS_OK) throw new KernelError(blkStatusToErrno(status), name);
}
