/** Reads a capture of sysfs (`D path`, `L path -> target`, `F mode path = text`, `B path`) and takes the same of a machine. */
import { readFileSync } from 'node:fs';
import type { Machine } from '@nvme-stack/machine';

/** What a path is, in one line. Line ends are bars; a file that cannot be read shows nothing. */
export type Files = ReadonlyMap<string, string>;

/** Where the captures are. */
export const CAPTURES = new URL('../../golden/linux-6.1-userland/', import.meta.url);

/** The text of a captured file. */
export function captured(name: string): string {
  return readFileSync(new URL(name, CAPTURES), 'utf8');
}

/** A capture by path. Binary files keep no mode; the directory it starts from (its path ends in a slash) is left out. */
export function capturedFiles(name: string): Files {
  const files = new Map<string, string>();
  for (const line of captured(name).split('\n')) {
    const match = /^([DLB]|F \d+) (\S+[^/\s])(?: (?:->|=) (.*))?$/.exec(line);
    if (match === null) continue;
    const [, kind, path, text = ''] = match as unknown as string[];
    files.set(path as string, kind === 'D' || kind === 'B' ? (kind as string) : `${kind} ${text}`);
  }
  return files;
}

/** Directories whose whole content a capture has: what it starts from, and those below that it went into. */
export function wholeDirectories(name: string): string[] {
  const root = /^D (\S+?)\/?$/m.exec(captured(name))?.[1] as string;
  const parents = [...capturedFiles(name).keys()].map((path) => path.slice(0, path.lastIndexOf('/')));
  return [...new Set(parents)].filter((path) => path.startsWith(root)).sort();
}

/** The same of a machine: what stands at `path`, without going deeper. Task context: some files read registers. */
export async function fileAt(machine: Machine, path: string, binary: boolean): Promise<string | undefined> {
  return await machine.task('cat', async ({ deviceCore: { sysfs } }) => {
    let stat: ReturnType<typeof sysfs.stat>;
    try {
      stat = sysfs.stat(path);
    } catch {
      return undefined;
    }
    if (stat.kind === 'dir') return 'D';
    if (stat.kind === 'link') return `L ${sysfs.readlink(path)}`;
    if (binary) return 'B';
    const text = await sysfs.cat(path).catch(() => '');
    return `F ${stat.mode.toString(8)} ${text.replaceAll('\n', '|')}`;
  });
}

/** Names in a directory that the capture does not have. */
export async function namesBeside(machine: Machine, files: Files, directory: string): Promise<string[]> {
  return await machine.task('ls', async ({ deviceCore: { sysfs } }) =>
    sysfs.list(directory).filter((name) => !files.has(`${directory}/${name}`)),
  );
}
