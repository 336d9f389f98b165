/** What our figures are held against: fio's null engine, and memcpy in C over the same footprint. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FIO = [
  '--name=null',
  '--ioengine=null',
  '--rw=randread',
  '--bs=4k',
  '--size=64m',
  '--iodepth=32',
  '--norandommap',
  '--gtod_reduce=1',
  '--time_based',
  '--runtime=1',
  '--output-format=json',
];

/** Copies of random 4 KiB pages out of 64 MiB into 32 buffers; prints nanoseconds per copy. */
const COPY_C = `
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
enum { PAGE = 4096, PAGES = 16384, BUFFERS = 32, COPIES = 2000000 };
int main(void) {
  char *media = malloc((size_t)PAGE * PAGES), *buffers = malloc((size_t)PAGE * 2 * BUFFERS);
  memset(media, 1, (size_t)PAGE * PAGES);
  memset(buffers, 2, (size_t)PAGE * 2 * BUFFERS);
  uint32_t random = 0x2545f491;
  struct timespec from, to;
  for (int round = 0; round < 2; round++) {
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < COPIES; i++) {
      random ^= random << 13; random ^= random >> 17; random ^= random << 5;
      memcpy(buffers + (size_t)(i % BUFFERS) * 2 * PAGE, media + (size_t)(random % PAGES) * PAGE, PAGE);
      __asm__ volatile("" ::: "memory");
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
  }
  printf("%f\\n", ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / COPIES);
  return 0;
}
`;

/** Something that measures once, in nanoseconds per operation. */
export interface Yardstick {
  readonly name: string;
  measure(): number;
}

function has(command: string): boolean {
  return spawnSync(command, ['--version']).status === 0;
}

/** fio's own cost per I/O when nothing is done; null when there is no fio. */
export function fioNull(): Yardstick | null {
  if (!has('fio')) return null;
  return {
    name: 'fio null engine',
    measure: () => {
      const { jobs } = JSON.parse(execFileSync('fio', FIO, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
      const { total_ios: ios, runtime: runtimeMs } = jobs[0].read;
      return (runtimeMs * 1e6) / ios;
    },
  };
}

/** memcpy compiled now; without a compiler the same copies by `Uint8Array.copyWithin` in Node. */
export function memcpy(): Yardstick & { readonly isC: boolean; close(): void } {
  if (!has('gcc')) return { name: 'copyWithin (no gcc)', isC: false, measure: copyInNode, close: () => {} };
  const folder = mkdtempSync(join(tmpdir(), 'nvme-stack-bench-'));
  const program = join(folder, 'copy');
  writeFileSync(`${program}.c`, COPY_C);
  execFileSync('gcc', ['-O2', '-o', program, `${program}.c`]);
  return {
    name: 'C memcpy, 4 KiB random of 64 MiB',
    isC: true,
    measure: () => Number(execFileSync(program, { encoding: 'utf8' })),
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function copyInNode(): number {
  const copies = 1_000_000;
  const mediaBytes = 64 << 20;
  const bytes = new Uint8Array(mediaBytes + 32 * 8192).fill(1);
  let random = 0x2545f491;
  let start = 0;
  for (let i = -copies; i < copies; i++) {
    if (i === 0) start = performance.now();
    random ^= random << 13;
    random ^= random >>> 17;
    random ^= random << 5;
    const from = ((random >>> 0) % 16384) * 4096;
    bytes.copyWithin(mediaBytes + (i & 31) * 8192, from, from + 4096);
  }
  return ((performance.now() - start) * 1e6) / copies;
}
