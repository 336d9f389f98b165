/**
 * Open files of device nodes: open, close, ioctl.
 * Kernel counterpart: fs/open.c, fs/ioctl.c, chrdev_open in fs/char_dev.c.
 */
import { KernelError } from '@nvme-stack/kernel';
import { type NodeTarget, targetOf } from './char-dev.js';
import { type DeviceImpl, getDevice, putDevice } from './device.js';
import type { NodeStat, OpenFile, OpenFlags } from './ports.js';
import type { DeviceCoreState } from './state.js';

/** @kernel include/linux/fs.h file */
export class OpenFileImpl implements OpenFile {
  readonly path: string;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly sysAdmin: boolean;
  /** At open: what embeds the character or block device. */
  privateData: unknown;
  readonly target: NodeTarget;
  closed = false;

  constructor(path: string, flags: OpenFlags, target: NodeTarget) {
    this.path = path;
    this.readable = flags.read ?? true;
    this.writable = flags.write;
    this.sysAdmin = flags.sysAdmin ?? true;
    this.privateData = target.container;
    this.target = target;
  }
}

/** Others may do what the last three mode bits say; an administrator anything. @kernel fs/namei.c generic_permission */
function checkPermission(path: string, dev: DeviceImpl, { read = true, write, sysAdmin = true }: OpenFlags): void {
  const wanted = (read ? 0o4 : 0) | (write ? 0o2 : 0);
  if (sysAdmin || (dev.nodeMode & wanted) === wanted) return;
  throw new KernelError('EACCES', `${path}: mode ${dev.nodeMode.toString(8)}, opened without CAP_SYS_ADMIN`);
}

/** Holds the device until it is closed. Throws ENOENT, ENOTDIR, EACCES, ENXIO, and what the driver's open throws. @kernel fs/char_dev.c chrdev_open */
export async function openFile(core: DeviceCoreState, path: string, flags: OpenFlags): Promise<OpenFileImpl> {
  core.kernel.ex.mightSleep('open');
  const node = findNode(core, path);
  checkPermission(path, node, flags);
  const target = targetOf(node);
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

/** Throws ENOENT, ENOTDIR, ENXIO for a node without a number. @kernel fs/stat.c vfs_getattr */
export function statNode(core: DeviceCoreState, path: string): NodeStat {
  const { devt, nodeMode, class: cls } = findNode(core, path);
  if (devt === null) throw new KernelError('ENXIO', path);
  return { kind: cls?.name === 'block' ? 'block' : 'char', mode: nodeMode, devt };
}

/** Throws ENOENT, ENOTDIR, EINVAL. @kernel fs/open.c chmod_common */
export function chmodNode(core: DeviceCoreState, path: string, mode: number): void {
  if (!(mode >= 0 && mode <= 0o777 && mode % 1 === 0))
    throw new KernelError('EINVAL', `${path}: mode ${mode}, allowed are 0 to 0o777`);
  findNode(core, path).nodeMode = mode;
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
