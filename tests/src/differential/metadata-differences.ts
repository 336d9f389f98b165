/** Where the two controllers differ about metadata, protection information and formats. */
import {
  COMPARE_FAILURE,
  is,
  isAdmin,
  isIo,
  type KnownDifference,
  SGL_ERRORS,
  SUCCESS,
  statusOf,
} from './difference.js';
import { dword } from './step.js';

/** Checks of protection information that fail, and a comparison that does. */
const COMPARE_ERRORS: ReadonlySet<string> = new Set(['2/82', '2/83', '2/84', COMPARE_FAILURE]);

export const METADATA_DIFFERENCES: readonly KnownDifference[] = [
  {
    id: 'compare-protection',
    what: 'Compare of blocks with protection information: QEMU compares nothing of the other metadata, and checks deallocated blocks as zeroes; ours compares what a Read of them gives.',
    spec: '[NVM] 3.3.1, 3.3.3.2.1 (protection information of deallocated blocks)',
    why: 'Metadata are compared with the data; those of a deallocated block are all ones, and not checked.',
    matches: (step, ours, theirs, { medium }) =>
      isIo(step, 5) &&
      medium.protectionType !== 0 &&
      (is(ours, COMPARE_FAILURE) || is(ours, SUCCESS)) &&
      (COMPARE_ERRORS.has(statusOf(theirs)) || is(theirs, SUCCESS)),
  },
  {
    id: 'deallocated-run',
    what: 'Read or Verify of protected blocks of which some are deallocated: QEMU may take others of them for deallocated than it does when each is read alone, and give a tag error or their protection information as all ones.',
    spec: '[NVM] 3.3.3.2.1 (protection information of deallocated blocks)',
    why: 'The protection information of deallocated blocks is all ones, and not checked.',
    matches: (step, ours, theirs, { medium }) =>
      (isIo(step, 2) || isIo(step, 0xc)) &&
      medium.protectionType !== 0 &&
      (dword(step, 12) & 0xffff) !== 0 &&
      is(ours, SUCCESS) &&
      (is(theirs, '2/83') || is(theirs, '2/84')),
  },
  {
    id: 'first-block-unchecked',
    what: 'A Write of block 0 and no other: QEMU does not check its protection information.',
    spec: '[NVM] 5 (PRCHK)',
    why: 'PRCHK asks for the check, whichever block it is.',
    matches: (step, ours, theirs, { medium }) =>
      isIo(step, 1) &&
      medium.protectionType !== 0 &&
      [10, 11].every((index) => dword(step, index) === 0) &&
      (dword(step, 12) & 0xffff) === 0 &&
      (is(ours, '2/82') || is(ours, '2/83') || is(ours, '2/84')) &&
      is(theirs, SUCCESS),
  },
  {
    id: 'upper-reference-tag',
    what: 'Dword 3 is a part of the reference tag for QEMU, whatever the guard; ours does not look at it.',
    spec: '[NVM] 3.3.4 figure dword 14, 5 (16-bit guards have reference tags of 32 bits)',
    why: 'With a 16-bit guard, the only one here, dword 14 has it all.',
    matches: (step, ours, theirs, { medium }) =>
      medium.protectionType !== 0 &&
      step.queue !== 0 &&
      dword(step, 3) !== 0 &&
      !is(ours, '1/81') &&
      (is(theirs, '1/81') || is(theirs, '2/84') || (isIo(step, 0x19) && is(theirs, '0/06'))),
  },
  {
    id: 'metadata-segment',
    what: 'A metadata pointer whose SGL is wrong, without protection information: QEMU gives a media error, ours says what is wrong.',
    spec: '[NVMe] 4.3.2, 4.2.3.1 (Metadata SGL Length Invalid)',
    why: 'The medium did not fail. QEMU has moved the data by then.',
    matches: (step, ours, theirs, { medium }) =>
      (step.sqe[1] as number) >> 6 === 2 &&
      medium.metadataBytes !== 0 &&
      (SGL_ERRORS.has(statusOf(ours)) || is(ours, '0/10')) &&
      (is(theirs, '2/81') || is(theirs, '2/80')),
  },
  {
    id: 'metadata-remainder',
    what: 'Metadata without protection information, of 512 bytes or more but no multiple: QEMU moves what is beyond the multiple, and nothing else. The stream keeps to other sizes, but for those of hostile commands.',
    spec: '[NVM] 3.3.4, 3.3.6 (metadata of each block)',
    why: 'The metadata were not transferred.',
  },
  {
    id: 'named-twice',
    what: 'A Read into memory that its pointers name twice, for data or for data and metadata: QEMU moves its parts in some order; ours block after block.',
    spec: '[NVMe] 4.1 (no order within a command)',
    why: 'Either is allowed.',
  },
  {
    id: 'format-index',
    what: 'With the upper bits of the LBA format index enabled, QEMU takes an index that is not listed, if it does not dislike another field.',
    spec: '[NVM] 4.1.2, [NVMe] 5.1.10 (Invalid Format)',
    why: 'There is no such format.',
    matches: (step, ours, theirs) =>
      isAdmin(step, 0x80) &&
      is(ours, '1/0a') &&
      (is(theirs, SUCCESS) || is(theirs, '0/02')) &&
      ((dword(step, 10) >>> 12) & 3) !== 0,
  },
  {
    id: 'zeroes-protected',
    what: 'Write Zeroes of blocks with protection information: QEMU keeps their other metadata, and what PRACT inserts reads as all ones. The stream writes such blocks again on both.',
    spec: '[NVM] 3.3.8, 5 (PRACT)',
    why: 'The metadata are zeroes afterwards, with PRACT but for the protection information that was asked for.',
  },
];
