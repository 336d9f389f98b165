/**
 * Sets of small numbers, such as CPUs, as the kernel prints them.
 * Kernel counterpart: lib/bitmap-str.c.
 */

/** Distinct numbers, in any order, as `0-3,8`; empty for none. Any context. @kernel lib/bitmap-str.c bitmap_print_to_pagebuf */
export function bitmapList(bits: readonly number[]): string {
  const sorted = [...bits].sort((a, b) => a - b);
  const ranges: string[] = [];
  for (let at = 0; at < sorted.length; ) {
    let end = at;
    while (end + 1 < sorted.length && sorted[end + 1] === sorted[end] + 1) end++;
    ranges.push(end === at ? `${sorted[at]}` : `${sorted[at]}-${sorted[end]}`);
    at = end + 1;
  }
  return ranges.join(',');
}
