/**
 * Open files of device nodes: open, close, ioctl.
 * Kernel counterpart: fs/open.c, fs/ioctl.c, chrdev_open in fs/char_dev.c.
 */
import { KernelError } from '@nvme-stack/kernel';
import { type NodeTarget, targetOf } from './char-dev.js';
import { type DeviceImpl, getDevice, putDevice } from './device.js';
import type { OpenFile, OpenFlags } from './ports.js';
import type { DeviceCoreState } from './state.js';

/** @kernel include/linux/fs.h file */
export class OpenFileImpl implements OpenFile {
  readonly path: string;
  readonly readable = true;
  readonly writable: boolean;
  /** At open: what embeds the character or block device. */
  privateData: unknown;
  readonly target: NodeTarget;
  closed = false;

  constructor(path: string, flags: OpenFlags, target: NodeTarget) {
    this.path = path;
    this.writable = flags.write;
    this.privateData = target.container;
    this.target = target;
  }
}

/** Holds the device until it is closed. Throws ENOENT, ENOTDIR, ENXIO, and what the driver's open throws. @kernel fs/char_dev.c chrdev_open */
export async function openFile(core: DeviceCoreState, path: string, flags: OpenFlags): Promise<OpenFileImpl> {
  core.kernel.ex.mightSleep('open');
  const target = targetOf(findNode(core, path));
  if (target === null) throw new KernelError('ENXIO', `${path}: no device has this number`);
  const file = new OpenFileImpl(path, flags, target);
  getDevice(target.dev);
  try {
    await target.ops.open?.(file);
  } catch (error) {
    putDevice(target.dev);
    throw error;
  }
  return file;
}

function findNode(core: DeviceCoreState, path: string): DeviceImpl {
  const { nodes } = core.tables;
  const name = path.startsWith('/dev/') ? path.slice('/dev/'.length) : '';
  const node = nodes.get(name);
  if (node !== undefined) return node;
  for (const other of nodes.keys()) {
    if (name.startsWith(`${other}/`)) throw new KernelError('ENOTDIR', path);
  }
  throw new KernelError('ENOENT', path);
}

/** Throws EBADF when it is closed already. @kernel fs/file_table.c __fput */
export async function closeFile(file: OpenFileImpl): Promise<void> {
  const { target } = file;
  if (file.closed) throw new KernelError('EBADF', `${file.path} is closed`);
  file.closed = true;
  try {
    await target.ops.release?.(file);
  } finally {
    putDevice(target.dev);
  }
}

/** Throws EBADF, ENOTTY, and what the driver's ioctl throws. @kernel fs/ioctl.c vfs_ioctl */
export async function ioctlFile(file: OpenFileImpl, command: number, argument: unknown): Promise<number> {
  const { target } = file;
  if (file.closed) throw new KernelError('EBADF', `${file.path} is closed`);
  if (target.ops.unlockedIoctl === undefined) throw new KernelError('ENOTTY', `${file.path} takes no ioctl`);
  return target.ops.unlockedIoctl(file, command, argument);
}
