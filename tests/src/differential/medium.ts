/** What the stream takes the namespace's format for: it follows the Format NVM commands that it makes. [NVM] 5.1. */
import type { Draft } from './draft.js';
import type { Step } from './step.js';

/** Of namespace 1, metadata included. */
export const NAMESPACE_BYTES = 1 << 20;

const FORMATS: readonly (readonly [blockSize: number, metadataBytes: number])[] = [
  [512, 0],
  [512, 8],
  [512, 16],
  [512, 64],
  [4096, 0],
  [4096, 8],
  [4096, 16],
  [4096, 64],
];
/** QEMU moves such multiples between host and medium. */
const DMA_UNIT = 512;
const FORMAT_NVM = 0x80;
const READ = 2;
const EXTENDED = 1 << 4;
const LBA_FORMAT = 0xf;
const TYPE_SHIFT = 5;
const TYPE_3 = 3;
/** The format, where metadata lie, and protection. */
const SETTINGS = 0x1ff;

/** A format, and the last Read that was made since. */
export class Medium {
  /** Dword 10 of the Format NVM that makes it. */
  format = 0;
  blockSize = 512;
  metadataBytes = 0;
  isExtended = false;
  protectionType = 0;
  blocks = NAMESPACE_BYTES / 512;
  lastRead: Draft | null = null;

  /** As many blocks, or fewer, whose metadata QEMU moves whole: see metadata-remainder. */
  wholeMetadata(blocks: number): number {
    const { metadataBytes, protectionType } = this;
    const bytes = blocks * metadataBytes;
    const isWhole = protectionType !== 0 || bytes <= DMA_UNIT || bytes % DMA_UNIT === 0;
    return isWhole ? blocks : blocks - (blocks % (DMA_UNIT / metadataBytes));
  }

  /** Takes note of a command as it is sent. */
  follow(step: Step & Draft): void {
    if (step.queue !== 0 && step.sqe[0] === READ && step.changed.length === 0) this.lastRead = step;
    if (step.queue !== 0 || step.sqe[0] !== FORMAT_NVM || ![1, 0xffffffff].includes(step.get(1))) return;
    this.take(step.get(10));
  }

  /** Takes the format that dword 10 of a Format NVM says; one that there is not changes nothing. */
  take(settings: number): void {
    const shape = FORMATS[settings & LBA_FORMAT];
    const type = (settings >>> TYPE_SHIFT) & 7;
    if (shape === undefined || type > TYPE_3 || (type !== 0 && shape[1] === 0)) return;
    this.format = settings & SETTINGS;
    [this.blockSize, this.metadataBytes] = shape;
    this.isExtended = this.metadataBytes !== 0 && (settings & EXTENDED) !== 0;
    this.protectionType = type;
    this.blocks = Math.floor(NAMESPACE_BYTES / (this.blockSize + this.metadataBytes));
    this.lastRead = null;
  }
}
