/**
 * The caller's structures of the passthrough ioctls: what they may hold, and the command they make.
 * Kernel counterpart: the front part of nvme_user_cmd, nvme_user_cmd64 and nvme_submit_io in drivers/nvme/host/ioctl.c.
 */
import { KernelError } from '@nvme-stack/kernel';
import { NVME_RW_PRINFO_PRACT, NvmeCommonCommand, NvmeNvmOpcode, NvmeRwCommand } from '@nvme-stack/nvme-protocol';
import { type Ns, NVME_NS_EXT_LBAS } from './namespace.js';
import type { UserCommand } from './passthrough.js';
import type { NvmePassthruCmd, NvmeUserIo } from './ports.js';
import { commandWords } from './sync-command.js';

/** @kernel include/uapi/linux/uio.h UIO_MAXIOV */
const UIO_MAXIOV = 1024;
const PI_BYTES = 8;
const UINT_MAX = 0xffffffff;

/** The structure, whose buffers are of the right kind. Throws EFAULT, EINVAL. */
export function passthruCmd(argument: unknown, vectored: boolean): NvmePassthruCmd {
  const cmd = argument as NvmePassthruCmd | null;
  if (typeof cmd !== 'object' || cmd === null || typeof cmd.opcode !== 'number')
    throw new KernelError('EFAULT', 'the argument must be an object with an opcode');
  const { flags = 0, data, metadata, timeoutMs = 0 } = cmd;
  if (data !== undefined && !(vectored ? isVector(data) : data instanceof Uint8Array))
    throw new KernelError('EFAULT', `data must be ${vectored ? 'a list of Uint8Array' : 'a Uint8Array'}`);
  if (metadata !== undefined && !(metadata instanceof Uint8Array))
    throw new KernelError('EFAULT', 'metadata must be a Uint8Array');
  if (flags !== 0) throw new KernelError('EINVAL', `flags: ${flags}, only 0 is allowed`);
  if (!(timeoutMs >= 0 && timeoutMs <= UINT_MAX && timeoutMs % 1 === 0))
    throw new KernelError('EINVAL', `timeoutMs: ${timeoutMs}, a whole number of milliseconds is allowed`);
  return cmd;
}

function isVector(data: NvmePassthruCmd['data']): boolean {
  if (!Array.isArray(data) || !data.every((piece) => piece instanceof Uint8Array)) return false;
  if (data.length > UIO_MAXIOV)
    throw new KernelError('EINVAL', `data: ${data.length} buffers, at most ${UIO_MAXIOV} are allowed`);
  return true;
}

/** The command as the caller wrote it. Throws EINVAL for a field that does not fit. */
export function passthruCommand(cmd: NvmePassthruCmd): UserCommand {
  const { opcode, nsid, cdw2, cdw3, cdw10, cdw11, cdw12, cdw13, cdw14, cdw15, data, metadata, timeoutMs } = cmd;
  return {
    words: encoded(() =>
      NvmeCommonCommand.encode({ opcode, nsid, cdw2, cdw3, cdw10, cdw11, cdw12, cdw13, cdw14, cdw15 }),
    ),
    data: data instanceof Uint8Array ? [data] : (data ?? []),
    metadata: metadata ?? null,
    metadataSeed: 0,
    timeoutMs: timeoutMs ?? 0,
  };
}

/** A layout names the field that does not fit in its error. */
function encoded(encode: () => Uint8Array): Uint32Array {
  try {
    return commandWords(encode());
  } catch (error) {
    throw new KernelError('EINVAL', error instanceof Error ? error.message : 'command');
  }
}

/** The read, write or compare of whole blocks. Throws EFAULT, EINVAL. */
export function userIoCommand(ns: Ns, argument: unknown): UserCommand {
  const io = argument as NvmeUserIo | null;
  if (typeof io !== 'object' || io === null) throw new KernelError('EFAULT', 'the argument must be an object');
  const { opcode, flags = 0, slba, nblocks, control = 0, dsmgmt, reftag, apptag, appmask, data } = io;
  const known: readonly number[] = [NvmeNvmOpcode.read, NvmeNvmOpcode.write, NvmeNvmOpcode.compare];
  if (flags !== 0) throw new KernelError('EINVAL', `flags: ${flags}, only 0 is allowed`);
  if (!known.includes(opcode))
    throw new KernelError('EINVAL', `opcode: ${opcode}, only read, write and compare are allowed`);
  const words = encoded(() =>
    NvmeRwCommand.encode({ opcode, nsid: ns.nsid, slba, length: nblocks, control, dsmgmt, reftag, apptag, appmask }),
  );
  const metadataBytes = separateMetadataBytes(ns, io);
  const blockBytes = 2 ** ns.lbaShift + (hasExtendedLbas(ns) && !controllerMakesPi(ns, control) ? ns.metadataBytes : 0);
  const lengthBytes = (nblocks + 1) * blockBytes;
  if (!(data instanceof Uint8Array) || data.length < lengthBytes)
    throw new KernelError('EFAULT', `data: ${lengthBytes} bytes are needed`);
  const metadata = metadataBytes === 0 ? null : (io.metadata as Uint8Array).subarray(0, metadataBytes);
  return { words, data: [data.subarray(0, lengthBytes)], metadata, metadataSeed: slba, timeoutMs: 0 };
}

/** The controller inserts and strips the protection information, which is all the metadata there is. */
function controllerMakesPi(ns: Ns, control: number): boolean {
  return (control & NVME_RW_PRINFO_PRACT) !== 0 && ns.metadataBytes === (ns.hasWideGuard ? ns.piSizeBytes : PI_BYTES);
}

/** Metadata follows each block within the data. */
function hasExtendedLbas({ features }: Ns): boolean {
  return (features & NVME_NS_EXT_LBAS) !== 0;
}

/** Bytes of the second buffer. Throws EINVAL for one where none is allowed, or none where one is needed. */
function separateMetadataBytes(ns: Ns, { control = 0, nblocks, metadata }: NvmeUserIo): number {
  if (controllerMakesPi(ns, control)) {
    if (metadata !== undefined) throw new KernelError('EINVAL', 'metadata: none is allowed with PRACT');
    return 0;
  }
  const bytes = hasExtendedLbas(ns) ? 0 : (nblocks + 1) * ns.metadataBytes;
  if (bytes > 0 && (metadata === undefined || metadata.byteOffset % 4 !== 0))
    throw new KernelError('EINVAL', `metadata: ${bytes} bytes, aligned to 4, are needed`);
  if (bytes > 0 && (metadata as Uint8Array).length < bytes)
    throw new KernelError('EFAULT', `metadata: ${(metadata as Uint8Array).length} bytes, ${bytes} are needed`);
  return bytes;
}
