/** An initramfs: the "newc" cpio archive that Linux unpacks into its first root. */

/** One file of an archive; folders above it are added. */
export interface ArchiveFile {
  readonly path: string;
  readonly content: Uint8Array | string;
  readonly executable?: boolean;
}

const MAGIC = '070701';
const FOLDER = 0o40755;
const FILE = 0o100644;
const EXECUTABLE = 0o100755;
const LINK = 0o120777;

/** The archive of files and of symbolic links (path to target). */
export function cpioArchive(files: readonly ArchiveFile[], links: Readonly<Record<string, string>>): Uint8Array {
  const parts: Uint8Array[] = [];
  let inode = 0;
  const add = (path: string, mode: number, content: Uint8Array): void => {
    inode += 1;
    const name = Buffer.from(`${path}\0`);
    const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0];
    const header = Buffer.from(MAGIC + fields.map((field) => field.toString(16).padStart(8, '0')).join(''));
    parts.push(padded([header, name]), padded([content]));
  };
  const folders = new Set<string>();
  for (const path of [...files.map((file) => file.path), ...Object.keys(links)]) {
    for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) folders.add(path.slice(0, at));
  }
  for (const folder of [...folders].sort()) add(folder, FOLDER, new Uint8Array());
  for (const { path, content, executable } of files) {
    add(path, executable ? EXECUTABLE : FILE, typeof content === 'string' ? Buffer.from(content) : content);
  }
  for (const [path, target] of Object.entries(links)) add(path, LINK, Buffer.from(target));
  add('TRAILER!!!', 0, new Uint8Array());
  return Buffer.concat(parts);
}

/** The parts, filled up to a multiple of four bytes. */
function padded(parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([...parts, new Uint8Array(-length & 3)]);
}
