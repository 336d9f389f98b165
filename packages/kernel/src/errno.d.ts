/**
 * Error numbers and the error the control path throws.
 * Kernel counterpart: include/uapi/asm-generic/errno-base.h, errno.h.
 */
/** Error numbers by Linux's names, positive. @kernel include/uapi/asm-generic/errno-base.h errno */
export declare const Errno: {
    readonly EPERM: 1;
    readonly ENOENT: 2;
    readonly EINTR: 4;
    readonly EIO: 5;
    readonly ENXIO: 6;
    readonly EBADF: 9;
    readonly EAGAIN: 11;
    readonly ENOMEM: 12;
    readonly EACCES: 13;
    readonly EFAULT: 14;
    readonly ENOTBLK: 15;
    readonly EBUSY: 16;
    readonly EEXIST: 17;
    readonly EXDEV: 18;
    readonly ENODEV: 19;
    readonly ENOTDIR: 20;
    readonly EISDIR: 21;
    readonly EINVAL: 22;
    readonly ENFILE: 23;
    readonly ENOTTY: 25;
    readonly EFBIG: 27;
    readonly ENOSPC: 28;
    readonly EROFS: 30;
    readonly EDOM: 33;
    readonly ERANGE: 34;
    readonly EDEADLK: 35;
    readonly ENOSYS: 38;
    readonly EBADE: 52;
    readonly ENODATA: 61;
    readonly ETIME: 62;
    readonly ENOLINK: 67;
    readonly EPROTO: 71;
    readonly EBADMSG: 74;
    readonly EOVERFLOW: 75;
    readonly EILSEQ: 84;
    readonly EOPNOTSUPP: 95;
    readonly ESHUTDOWN: 108;
    readonly ETIMEDOUT: 110;
    readonly EHOSTDOWN: 112;
    readonly EALREADY: 114;
    readonly EINPROGRESS: 115;
    readonly EREMOTEIO: 121;
    readonly ENOMEDIUM: 123;
    readonly ECANCELED: 125;
    readonly EPROBE_DEFER: 517;
};
/** An error's symbolic name. */
export type ErrnoCode = keyof typeof Errno;
declare const BRAND: unique symbol;
/** The symbolic name of a positive or negative error number, or `E<number>` when Linux's name is not in the table. */
export declare function errnoName(errno: number): string;
/**
 * What the control path throws: a failure with Linux's error number.
 * `errno` is negative, as the kernel returns it (-19); `code` is its name (`ENODEV`).
 */
export declare class KernelError extends Error {
    readonly errno: number;
    readonly code: ErrnoCode;
    readonly [BRAND] = true;
    constructor(code: ErrnoCode, what: string);
    /** Recognises a KernelError of any copy of this package. */
    static is(error: unknown): error is KernelError;
}
/** The negative error number of anything thrown on the control path; what is not a KernelError counts as -EIO. */
export declare function errnoOf(error: unknown): number;
export {};
//# sourceMappingURL=errno.d.ts.map