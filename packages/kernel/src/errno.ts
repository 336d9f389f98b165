/**
 * Error numbers and the error the control path throws.
 * Kernel counterpart: include/uapi/asm-generic/errno-base.h, errno.h.
 */

/** Error numbers by Linux's names, positive. @kernel include/uapi/asm-generic/errno-base.h errno */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  ENOTBLK: 15,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  ENOTTY: 25,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EDOM: 33,
  ERANGE: 34,
  EDEADLK: 35,
  ENOSYS: 38,
  EBADE: 52,
  ENODATA: 61,
  ETIME: 62,
  ENOLINK: 67,
  EPROTO: 71,
  EBADMSG: 74,
  EOVERFLOW: 75,
  EILSEQ: 84,
  EOPNOTSUPP: 95,
  ENETRESET: 102,
  ESHUTDOWN: 108,
  ETIMEDOUT: 110,
  EHOSTDOWN: 112,
  EALREADY: 114,
  EINPROGRESS: 115,
  EREMOTEIO: 121,
  ENOMEDIUM: 123,
  ECANCELED: 125,
  EPROBE_DEFER: 517,
} as const;

/** An error's symbolic name. */
export type ErrnoCode = keyof typeof Errno;

const BRAND = Symbol.for('@nvme-stack/KernelError');

const codeByNumber = new Map<number, ErrnoCode>(
  (Object.keys(Errno) as ErrnoCode[]).map((code) => [Errno[code], code] as const),
);

/** The symbolic name of a positive or negative error number, or `E<number>` when Linux's name is not in the table. */
export function errnoName(errno: number): string {
  const positive = errno < 0 ? -errno : errno;
  return codeByNumber.get(positive) ?? `E${positive}`;
}

/**
 * What the control path throws: a failure with Linux's error number.
 * `errno` is negative, as the kernel returns it (-19); `code` is its name (`ENODEV`).
 */
export class KernelError extends Error {
  readonly errno: number;
  readonly code: ErrnoCode;
  readonly [BRAND] = true;

  constructor(code: ErrnoCode, what: string) {
    super(`${what}: ${code} (-${Errno[code]})`);
    this.name = 'KernelError';
    this.code = code;
    this.errno = -Errno[code];
  }

  /** Recognises a KernelError of any copy of this package. */
  static is(error: unknown): error is KernelError {
    return typeof error === 'object' && error !== null && (error as { [BRAND]?: boolean })[BRAND] === true;
  }
}

/** The negative error number of anything thrown on the control path; what is not a KernelError counts as -EIO. */
export function errnoOf(error: unknown): number {
  return KernelError.is(error) ? error.errno : -Errno.EIO;
}
