/**
 * Files under /proc, whose text is made when they are read.
 * Kernel counterpart: fs/proc/generic.c, fs/seq_file.c.
 */
import { KernelError } from './errno.js';
import type { Procfs } from './ports.js';

class ProcfsImpl implements Procfs {
  private readonly files = new Map<string, () => string>();

  register(path: string, show: () => string): () => void {
    if (!path.startsWith('/proc/')) throw new KernelError('EINVAL', `${path} is not under /proc/`);
    if (this.files.has(path)) throw new KernelError('EEXIST', path);
    this.files.set(path, show);
    return () => {
      if (this.files.get(path) === show) this.files.delete(path);
    };
  }

  read(path: string): string {
    const show = this.files.get(path);
    if (show === undefined) throw new KernelError('ENOENT', path);
    return show();
  }

  list(): string[] {
    return [...this.files.keys()].sort();
  }
}

/** Makes an empty /proc. @kernel fs/proc/generic.c proc_create_single_data */
export function createProcfs(): Procfs {
  return new ProcfsImpl();
}
