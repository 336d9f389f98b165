/** Tells which kind of capture a file is by what stands in it, and reads the lines that all kinds share. */

export type CaptureKind = 'ftrace-insmod' | 'ftrace-io' | 'mmio-cmd';

/** One line of a capture that is not a comment. */
export interface CaptureLine {
  /** Place in the file, from 1. */
  readonly number: number;
  readonly text: string;
}

export interface CaptureFile {
  readonly name: string;
  readonly kind: CaptureKind;
  /** The captured kernel's version, e.g. `6.12.111`, where the file's first line says so. */
  readonly linux: string | null;
  readonly lines: readonly CaptureLine[];
}

/** A user's mistake, in one sentence. */
export class BadInput extends Error {}

const DEVICE_LINE = /^(?:\d+@[\d.]+:)?pci_nvme_/;
const CALL_LINE = /^cpu\d+ /;

/** Recognises a capture by its content; throws BadInput when it is none. */
export function readCapture(name: string, text: string): CaptureFile {
  const all = text.split(/\r?\n/).map((line, i) => ({ number: i + 1, text: line.trimEnd() }));
  const lines = all.filter((line) => line.text !== '' && !line.text.startsWith('#'));
  const linux = /^#.*\bLinux (\d+\.\d+(?:\.\d+)?)/.exec(text)?.[1] ?? null;
  const kind = kindOf(lines);
  if (kind === null) {
    const kinds = 'function calls ("cpu0 symbol") of an insmod or of I/O, or a pci_nvme_* trace';
    throw new BadInput(`${name}: this is no capture that can be compared; it must hold ${kinds}.`);
  }
  const shape = kind === 'mmio-cmd' ? DEVICE_LINE : CALL_LINE;
  const odd = lines.find((line) => !shape.test(line.text));
  if (odd !== undefined)
    throw new BadInput(`${name}:${odd.number}: "${odd.text.slice(0, 60)}" is no line of ${article(kind)}.`);
  return { name, kind, linux, lines };
}

function kindOf(lines: readonly CaptureLine[]): CaptureKind | null {
  if (lines.some((line) => DEVICE_LINE.test(line.text))) return 'mmio-cmd';
  const calls = lines.filter((line) => CALL_LINE.test(line.text));
  if (calls.some((line) => /\bdo_init_module\b/.test(line.text))) return 'ftrace-insmod';
  return calls.some((line) => /\bsubmit_bio\b/.test(line.text)) ? 'ftrace-io' : null;
}

function article(kind: CaptureKind): string {
  return kind === 'mmio-cmd' ? 'a pci_nvme_* trace' : 'a list of function calls';
}
