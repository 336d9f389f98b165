/** Log lines of a controller: `nvme nvme0: text`. Kernel counterpart: dev_err(ctrl->device, …) and the like. */
import type { HasKernel, LogLevel } from '@nvme-stack/kernel';
import type { CoreState } from './core.js';

interface Named extends HasKernel {
  readonly name: string;
}

interface OfCore extends Named {
  readonly core: CoreState;
}

/** What lines of old kernels name: the device behind a controller. */
export function functionOf(ctrl: HasKernel & { readonly dev: { readonly name: string } }): Named {
  return { kernel: ctrl.kernel, name: ctrl.dev.name };
}

/** Any context. @kernel drivers/base/core.c _dev_printk */
export function ctrlLog(ctrl: Named, level: LogLevel, text: string): void {
  ctrl.kernel.printk.print(level, `nvme ${ctrl.name}: ${text}`);
}

/** The same, once per machine and `key`. @kernel include/linux/dev_printk.h dev_warn_once */
export function ctrlWarnOnce(ctrl: OfCore, key: string, text: string): void {
  if (ctrl.core.warnedOnce.has(key)) return;
  ctrl.core.warnedOnce.add(key);
  ctrlLog(ctrl, 'warn', text);
}

/** A number >= 0 as `%0Nx`. */
export function hex(value: number, digits = 1): string {
  return value.toString(16).padStart(digits, '0');
}

/** Bytes as `%*phN`: hexadecimal without separators. */
export function hexBytes(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += hex(byte, 2);
  return text;
}
