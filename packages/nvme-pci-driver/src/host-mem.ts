/**
 * Host memory lent to the controller: allocated in pieces as large as can be had, described by a list, kept over resets.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_setup_host_mem, nvme_set_host_mem. [NVMe] 8.2.3, 5.1.25.2 (FID 0Dh).
 */
import { type CoherentMemory, dmaAllocCoherent, dmaFreeCoherent, KernelError, traced } from '@nvme-stack/kernel';
import {
  NVME_FEAT_HOST_MEM_BUF,
  NVME_HOST_MEM_ENABLE,
  NVME_HOST_MEM_RETURN,
  NvmeAdminOpcode,
  NvmeFeatures,
  NvmeHostMemBufDesc,
} from '@nvme-stack/nvme-protocol';
import type { NvmeDev } from './dev.js';
import { NVME_CTRL_PAGE_SIZE } from './limits.js';
import { commandWords } from './queue-commands.js';

const UNIT_BYTES = 4096;
const MIB = 1 << 20;
const DESCRIPTOR_BYTES = 16;
/** Largest piece that is asked for: 4 MiB. @kernel include/linux/mmzone.h MAX_ORDER_NR_PAGES */
const MAX_PIECE_BYTES = 1024 * UNIT_BYTES;
const MIN_PIECE_BYTES = 2 * UNIT_BYTES;
const TWO_32 = 4294967296;

/** A buffer: its pieces and the list that names them. */
export interface NvmeHostMem {
  readonly list: CoherentMemory;
  readonly pieces: readonly CoherentMemory[];
  readonly sizeBytes: number;
}

/** Tells the controller about the buffer; NVMe status or negative errno. Task context. @kernel drivers/nvme/host/pci.c nvme_set_host_mem */
export const nvmeSetHostMem = traced('nvme_set_host_mem', async (dev: NvmeDev, bits: number): Promise<number> => {
  const { ctrl, hostMem } = dev;
  if (ctrl.adminQ === null) return 0;
  const list = hostMem?.list.busAddr ?? 0;
  const cmd = NvmeFeatures.encode({
    opcode: NvmeAdminOpcode.setFeatures,
    fid: NVME_FEAT_HOST_MEM_BUF,
    dword11: bits,
    dword12: Math.floor((hostMem?.sizeBytes ?? 0) / NVME_CTRL_PAGE_SIZE),
    dword13: list % TWO_32,
    dword14: Math.floor(list / TWO_32),
    dword15: hostMem?.pieces.length ?? 0,
  });
  const { status } = await dev.deps.nvmeCore.nvmeSubmitSyncCmd(ctrl.adminQ, commandWords(cmd), null);
  if (status === 0) dev.hmb = (bits & NVME_HOST_MEM_ENABLE) !== 0;
  else log(dev, 'warn', `failed to set host mem (err ${status}, flags ${flags(bits)}).`);
  return status;
});

/** `%#x` prints a zero without its prefix. */
function flags(bits: number): string {
  return bits === 0 ? '0' : `0x${bits.toString(16)}`;
}

function log(dev: NvmeDev, level: 'info' | 'warn', text: string): void {
  dev.kernel.printk.print(level, `nvme ${dev.ctrl.name}: ${text}`);
}

/** Takes the memory back; the controller must not use it any more. Task context. @kernel drivers/nvme/host/pci.c nvme_free_host_mem */
export function nvmeFreeHostMem(dev: NvmeDev): void {
  const { hostMem } = dev;
  if (hostMem === null) return;
  dev.hostMem = null;
  for (const piece of hostMem.pieces) dmaFreeCoherent(dev.dma, piece);
  dmaFreeCoherent(dev.dma, hostMem.list);
}

/** Pieces of `pieceBytes` up to `preferredBytes`, as many as there is memory for; null: none. @kernel drivers/nvme/host/pci.c __nvme_alloc_host_mem */
function allocPieces(dev: NvmeDev, preferredBytes: number, pieceBytes: number): NvmeHostMem | null {
  const { hmmaxd } = dev.ctrl;
  const wanted = Math.floor((preferredBytes + pieceBytes - 1) / pieceBytes);
  const most = hmmaxd > 0 ? Math.min(hmmaxd, wanted) : wanted;
  const list = dmaAllocCoherent(dev.dma, most * DESCRIPTOR_BYTES);
  if (list === null) return null;
  const pieces: CoherentMemory[] = [];
  let sizeBytes = 0;
  while (sizeBytes < preferredBytes && pieces.length < most) {
    const length = Math.min(pieceBytes, preferredBytes - sizeBytes);
    const piece = dmaAllocCoherent(dev.dma, length);
    if (piece === null) break;
    NvmeHostMemBufDesc.encodeInto(list.bytes, pieces.length * DESCRIPTOR_BYTES, {
      addr: piece.busAddr,
      size: length / NVME_CTRL_PAGE_SIZE,
    });
    pieces.push(piece);
    sizeBytes += length;
  }
  if (pieces.length === 0) {
    dmaFreeCoherent(dev.dma, list);
    return null;
  }
  list.publish(0, pieces.length * DESCRIPTOR_BYTES);
  return { list, pieces, sizeBytes };
}

/** Starts with large pieces and works its way down; false: not even the least can be had. @kernel drivers/nvme/host/pci.c nvme_alloc_host_mem */
function nvmeAllocHostMem(dev: NvmeDev, minBytes: number, preferredBytes: number): boolean {
  const least = Math.max(dev.ctrl.hmminds * UNIT_BYTES, MIN_PIECE_BYTES);
  for (let pieceBytes = Math.min(preferredBytes, MAX_PIECE_BYTES); pieceBytes >= least; pieceBytes = half(pieceBytes)) {
    dev.hostMem = allocPieces(dev, preferredBytes, pieceBytes);
    if (dev.hostMem === null) continue;
    if (dev.hostMem.sizeBytes >= minBytes) return true;
    nvmeFreeHostMem(dev);
  }
  return false;
}

/** Pieces are whole pages. */
function half(bytes: number): number {
  return Math.floor(bytes / 2 / UNIT_BYTES) * UNIT_BYTES;
}

/** Lends the controller what it asks for, up to max_host_mem_size_mb; after a reset it gets its old buffer back. Returns 0, or what the controller said. Task context. @kernel drivers/nvme/host/pci.c nvme_setup_host_mem */
export async function nvmeSetupHostMem(dev: NvmeDev): Promise<number> {
  const { ctrl } = dev;
  if (ctrl.hmpre === 0 || dev.driver.features.hostMem === 'none') return 0;
  const maxMib = Number(dev.driver.params.max_host_mem_size_mb ?? 0);
  const maxBytes = maxMib * MIB;
  const minBytes = ctrl.hmmin * UNIT_BYTES;
  const preferredBytes = Math.min(ctrl.hmpre * UNIT_BYTES, maxBytes);
  if (minBytes > maxBytes) {
    const minMib = Math.floor(minBytes / MIB);
    log(dev, 'warn', `min host memory (${minMib} MiB) above limit (${maxMib} MiB).`);
    nvmeFreeHostMem(dev);
    return 0;
  }
  let bits = NVME_HOST_MEM_ENABLE;
  if (dev.hostMem !== null) {
    if (dev.hostMem.sizeBytes >= minBytes) bits |= NVME_HOST_MEM_RETURN;
    else nvmeFreeHostMem(dev);
  }
  if (dev.hostMem === null) {
    if (!nvmeAllocHostMem(dev, minBytes, preferredBytes)) {
      log(dev, 'warn', 'failed to allocate host memory buffer.');
      return 0;
    }
    const { sizeBytes } = dev.hostMem as unknown as NvmeHostMem;
    log(dev, 'info', `allocated ${Math.floor(sizeBytes / MIB)} MiB host memory buffer.`);
  }
  const status = await nvmeSetHostMem(dev, bits);
  if (status !== 0) nvmeFreeHostMem(dev);
  return status;
}

/** Up to 4.17 a controller that lives is told to leave the buffer alone before it is disabled. Task context. */
export async function takeHostMemBack(dev: NvmeDev): Promise<void> {
  if (dev.driver.features.hostMem === 'taken-back' && dev.hostMem !== null) await nvmeSetHostMem(dev, 0);
}

/** What a user writes to `hmb`: the buffer is lent, or taken back and freed. Throws EINVAL, and what Set Features failed with. Task context. @kernel drivers/nvme/host/pci.c hmb_store */
export async function storeHmb(dev: NvmeDev, text: string): Promise<void> {
  const wanted = parseBool(text);
  if (wanted === dev.hmb) return;
  const status = wanted ? await nvmeSetupHostMem(dev) : await nvmeSetHostMem(dev, 0);
  if (!wanted && status === 0) nvmeFreeHostMem(dev);
  if (status < 0) throw new KernelError('EIO', `${dev.ctrl.name}: host memory buffer`);
}

/** @kernel lib/kstrtox.c kstrtobool */
function parseBool(text: string): boolean {
  const word = text.trim();
  if (/^([yYtT1]|on)/i.test(word)) return true;
  if (/^([nNfF0]|of)/i.test(word)) return false;
  throw new KernelError('EINVAL', `hmb: '${word}' is neither 1 nor 0`);
}
