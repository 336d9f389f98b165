/**
 * The ioctls of controllers and namespaces: their numbers, and the structures they take.
 * Kernel counterpart: include/uapi/linux/nvme_ioctl.h.
 */

/** @kernel include/uapi/linux/nvme_ioctl.h */
export const NVME_IOCTL_ID = 0x4e40;
export const NVME_IOCTL_ADMIN_CMD = 0xc0484e41;
export const NVME_IOCTL_SUBMIT_IO = 0x40304e42;
export const NVME_IOCTL_IO_CMD = 0xc0484e43;
export const NVME_IOCTL_RESET = 0x4e44;
export const NVME_IOCTL_SUBSYS_RESET = 0x4e45;
export const NVME_IOCTL_RESCAN = 0x4e46;
export const NVME_IOCTL_ADMIN64_CMD = 0xc0504e47;
export const NVME_IOCTL_IO64_CMD = 0xc0504e48;
export const NVME_IOCTL_IO64_CMD_VEC = 0xc0504e49;

/**
 * Argument of the passthrough ioctls; what is left out is 0. `data` is read by commands that write and filled by commands
 * that read. The ioctl returns the NVMe status (0: success; type, code, MORE and DNR without the phase bit) of a command
 * that reached the controller, and rejects with an errno when it did not: EFAULT (not an object with an opcode, or buffers
 * of the wrong kind), EINVAL (flags, a field out of range, another namespace's id, more data than the queue takes, metadata
 * on a namespace without), EACCES (not allowed to this user), EINTR (cancelled by a reset), ENOTTY (no such ioctl in this era).
 * @kernel include/uapi/linux/nvme_ioctl.h nvme_passthru_cmd, nvme_passthru_cmd64
 */
export interface NvmePassthruCmd {
  readonly opcode: number;
  /** Must be 0. */
  readonly flags?: number;
  readonly nsid?: number;
  readonly cdw2?: number;
  readonly cdw3?: number;
  readonly cdw10?: number;
  readonly cdw11?: number;
  readonly cdw12?: number;
  readonly cdw13?: number;
  readonly cdw14?: number;
  readonly cdw15?: number;
  /** One buffer; of NVME_IOCTL_IO64_CMD_VEC a list of 1 to 1024. */
  readonly data?: Uint8Array | readonly Uint8Array[];
  readonly metadata?: Uint8Array;
  /** 0 or absent: the queue's time-out. */
  readonly timeoutMs?: number;
  /** Dword 0 of the completion; written unless the ioctl rejects. */
  result?: number;
  /** Dword 1, of the 64-bit forms. */
  resultHi?: number;
}

/** Argument of NVME_IOCTL_SUBMIT_IO: read, write or compare; errors as of the passthrough ioctls. @kernel include/uapi/linux/nvme_ioctl.h nvme_user_io */
export interface NvmeUserIo {
  readonly opcode: number;
  /** Must be 0. */
  readonly flags?: number;
  readonly control?: number;
  /** 0-based. */
  readonly nblocks: number;
  readonly slba: number;
  readonly dsmgmt?: number;
  readonly reftag?: number;
  readonly apptag?: number;
  readonly appmask?: number;
  /** At least the blocks' bytes, and their metadata's where it lies within the blocks. */
  readonly data: Uint8Array;
  /** Metadata in a buffer of its own. */
  readonly metadata?: Uint8Array;
}
