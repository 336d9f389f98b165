/** How sysfs here may differ from the capture of Linux 6.1, and why. */

/** Files of Linux that are not here, by path. */
export const NOT_THERE: readonly (readonly [RegExp, string])[] = [
  [/\/nvme0n\d\/trace(\/|$)/, 'blktrace is not modelled'],
  [/\/firmware_node$/, 'there is no ACPI: the PCI host bridge is found by the board'],
];

/** What is not compared of a file: addresses, times, and numbers that depend on what else the machine has. */
const BLURRED: readonly (readonly [RegExp, (text: string) => string])[] = [
  // Other drivers took major numbers first.
  [/nvme0\/dev$|ng0n\d\/dev$/, (text) => text.replace(/\d+:/, 'M:')],
  [/(nvme0|ng0n\d)\/uevent$/, (text) => text.replace(/MAJOR=\d+/, 'MAJOR=M')],
  [/\/resource$/, (text) => text.replace(/0x(\S{16}) 0x(\S{16})/, sizeOfRange)],
  [/\/runtime_active_time$/, (text) => text.replace(/\d+\|/, 'T|')],
  [/\/stat$/, withoutTimes],
];

function sizeOfRange(_range: string, start: string, end: string): string {
  return `${Number.parseInt(end, 16) + 1 - Number.parseInt(start, 16)} bytes`;
}

/** Columns 4, 8, 10, 11, 15 and 17 of `stat` are milliseconds. */
function withoutTimes(text: string): string {
  const columns = text.replace('F 444', '').replace('|', '').trim().split(/\s+/);
  for (const column of [3, 7, 9, 10, 14, 16]) columns[column] = 'T';
  return columns.join(' ');
}

/** What is compared of a file. */
export function blurred(path: string, line: string): string {
  let text = line;
  for (const [pattern, blur] of BLURRED) if (pattern.test(path)) text = blur(text);
  return text;
}

/** Names that Linux 6.12 has beside those of 6.1, by the directory they stand in. */
export const ADDED_IN_6_12: readonly (readonly [RegExp, readonly string[]])[] = [
  [/\/nvme0$/, ['passthru_err_log_enabled']],
  [/\/nvme_core\/parameters$/, ['disable_pi_offsets']],
  [/\/nvme0n\d$/, ['csi', 'metadata_bytes', 'nuse', 'passthru_err_log_enabled']],
];

/** Values of Linux 6.12 that are others than those of 6.1. */
export const CHANGED_IN_6_12: Readonly<Record<string, string>> = {
  // NVME_MAX_SEGS
  '/sys/block/nvme0n1/queue/max_segments': 'F 444 128|',
  // Every queue of a PCI controller.
  '/sys/block/nvme0n1/queue/max_integrity_segments': 'F 444 1|',
};
