/**
 * Ioctls and node modes from the front door: what nvme-cli does with /dev/nvme0, without a descriptor to keep.
 * Kernel counterpart: the user's side of open(2), ioctl(2), close(2).
 */
import type { DeviceCore, OpenFlags } from '@nvme-stack/device-core/ports';

/** Opens, asks, closes. Rejects with KernelError: what open, the ioctl or its argument were refused for. Task context. */
export async function ioctl(
  deviceCore: DeviceCore,
  path: string,
  command: number,
  argument: unknown,
  flags: Partial<OpenFlags> = {},
): Promise<number> {
  const file = await deviceCore.open(path, { ...flags, write: flags.write ?? true });
  try {
    return await deviceCore.ioctl(file, command, argument);
  } finally {
    await deviceCore.close(file);
  }
}

/** An ioctl's argument as it was when it was given: the ioctl writes into the caller's. */
export function copyOfArgument(argument: unknown): unknown {
  if (argument instanceof Uint8Array) return argument.slice();
  if (Array.isArray(argument)) return argument.map(copyOfArgument);
  if (typeof argument !== 'object' || argument === null) return argument;
  const copy: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(argument)) copy[key] = copyOfArgument(value);
  return copy;
}
