/** Reads, writes and zeroing whose blocks QEMU moves or protects otherwise: which entry of the table each is. */
import type { Medium } from './medium.js';
import type { Outcome } from './raw-host.js';
import { DATA_PAGES, dword, opcodeOf, PAGE, type Step } from './step.js';

export const WRITE = 1;
const READ = 2;
const WRITE_ZEROES = 8;
const PRP1 = 24;
const METADATA_POINTER = 16;
const NAMED_TWICE = 'named-twice';
const DEALLOCATED_RUN = 'deallocated-run';
/** What protection information of deallocated blocks consists of. */
const ALL_ONES = 0xff;

const isIo = (step: Step, opcode: number): boolean => step.queue !== 0 && opcodeOf(step) === opcode;
const isDone = ({ kind, status }: Outcome): boolean => kind === 'completed' && status === 0;
const blocksOf = (step: Step): number => (dword(step, 12) & 0xffff) + 1;

/** Write Zeroes of blocks with protection information, after which the media differ: see zeroes-protected. */
export function zeroesProtected(step: Step, { protectionType }: Medium, outcome: Outcome): boolean {
  return isDone(outcome) && protectionType !== 0 && isIo(step, WRITE_ZEROES);
}

/** The entry for a Read or Write whose metadata QEMU moves in part, or in another order; null: it is none. */
export function metadataApart(step: Step, medium: Medium, outcome: Outcome): string | null {
  if (!isDone(outcome) || !(isIo(step, READ) || isIo(step, WRITE))) return null;
  if (medium.wholeMetadata(blocksOf(step)) !== blocksOf(step)) return 'metadata-remainder';
  return isIo(step, READ) && medium.isExtended && goesRound(step, medium) ? NAMED_TWICE : null;
}

/** The entry for a Read that both did and that left other bytes; null: nobody knows. */
export function explainRead(
  step: Step,
  medium: Medium,
  ours: readonly Uint32Array[],
  theirs: readonly Uint32Array[],
): string | null {
  if (!isIo(step, READ)) return null;
  if (goesRound(step, medium) || metadataMeetData(step, medium)) return NAMED_TWICE;
  const isRun = medium.protectionType !== 0 && blocksOf(step) > 1;
  return isRun && ours.every((page, i) => differsInOnes(bytesOf(page), bytesOf(theirs[i] as Uint32Array)))
    ? DEALLOCATED_RUN
    : null;
}

function dataBytes(step: Step, { blockSize, metadataBytes, isExtended }: Medium): number {
  return blocksOf(step) * (blockSize + (isExtended ? metadataBytes : 0));
}

/** Whether there is so much data that the pages of the PRP list begin again. */
function goesRound(step: Step, medium: Medium): boolean {
  return dataBytes(step, medium) > (DATA_PAGES - 1) * PAGE;
}

/** Whether separate metadata lie in a page of the data. */
function metadataMeetData(step: Step, medium: Medium): boolean {
  const target = (at: number): number | undefined => step.pointers.find(([where]) => where === at)?.[1].target;
  const [data, metadata] = [target(PRP1), target(METADATA_POINTER)];
  if (data === undefined || metadata === undefined || medium.isExtended) return false;
  const pages = (start: number, bytes: number): number[] => {
    const count = Math.ceil(((start % PAGE) + bytes) / PAGE);
    return Array.from({ length: count }, (_, i) => (Math.floor(start / PAGE) + i) % DATA_PAGES);
  };
  const ofData = new Set(pages(data, dataBytes(step, medium)));
  return pages(metadata, blocksOf(step) * medium.metadataBytes).some((page) => ofData.has(page));
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Uint32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Whether bytes differ only where QEMU takes a block for deallocated that is not, or the other way round. */
function differsInOnes(ours: Uint8Array, theirs: Uint8Array): boolean {
  return ours.every(
    (byte, i) => byte === theirs[i] || theirs[i] === ALL_ONES || (byte === ALL_ONES && theirs[i] === 0),
  );
}
