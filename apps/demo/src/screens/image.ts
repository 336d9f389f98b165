/** A disk image: its volumes, and the hash of every byte that came through the stack. */
import type { ImageRead, Volume } from '../image.js';
import { count, duration, size, table, type View, wrap } from '../layout.js';

export function volumesScreen(volumes: readonly Volume[], view: View): string[] {
  const rows = volumes.map(({ name, startSector, sizeBytes, fileSystem }) => [
    name,
    String(startSector),
    size(sizeBytes),
    fileSystem?.type ?? '-',
    fileSystem?.label || '-',
    fileSystem?.uuid || '-',
  ]);
  return table(view, ['disk', 'first sector', 'size', 'holds', 'label', 'UUID'], rows);
}

/** `file`: the image's path as the user gave it; `wallMs`: host time of the read. */
export function imageScreen(image: ImageRead, file: string, wallMs: number, view: View): string[] {
  const { paint, width, time } = view;
  const { sizeBytes, requests, jobs, chunkBytes, virtualNs, sha256, fileSha256 } = image;
  const perSecond = (ns: number): string => `${size(Math.round((sizeBytes / ns) * 1e9))}/s`;
  const equal = sha256 === fileSha256;
  return [
    ...wrap(
      `${size(sizeBytes)} in ${count(requests)} requests of ${size(chunkBytes)}, ${jobs} at a time, on every queue: ` +
        `${duration(virtualNs)} of ${time} time (${perSecond(virtualNs)}), ${duration(wallMs * 1e6)} of wall time.`,
      width,
    ),
    '',
    paint.quiet('SHA-256 of what came through the stack, as sha256sum prints it:'),
    shaLine(image, file),
    equal
      ? `${paint.good('Equal')} to the SHA-256 of the file.`
      : paint.bad(`DIFFERS from the SHA-256 of the file, ${fileSha256}`),
  ];
}

/** The line that `sha256sum FILE` prints. */
export function shaLine({ sha256 }: ImageRead, file: string): string {
  const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r' };
  const escaped = file.replace(/[\\\n\r]/g, (char) => escapes[char] as string);
  return `${escaped === file ? '' : '\\'}${sha256}  ${escaped}`;
}
