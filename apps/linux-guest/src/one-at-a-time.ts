/** Work that several processes may want done and one does: the others wait for it. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';

const POLL_MS = 100;

/** What `ready` gives, or else what `make` gives while no other process holds the lock file. */
export async function oneAtATime<T>(lock: string, ready: () => T | null, make: () => T | Promise<T>): Promise<T> {
  for (;;) {
    const there = ready();
    if (there !== null) return there;
    if (take(lock)) break;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  try {
    return ready() ?? (await make());
  } finally {
    rmSync(lock, { force: true });
  }
}

/** Makes the lock file; one whose process has ended is nobody's. */
function take(lock: string): boolean {
  try {
    writeFileSync(lock, `${process.pid}`, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  try {
    process.kill(Number(readFileSync(lock, 'utf8')) || process.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') rmSync(lock, { force: true });
  }
  return false;
}
