import { describe, expect, it } from 'vitest';
import { identify, PROBE_BYTES } from './file-systems.js';

const UUID = Array.from({ length: 16 }, (_, i) => i);
const UUID_TEXT = '00010203-0405-0607-0809-0a0b0c0d0e0f';

/** A volume with bytes or text at some offsets. */
function volume(...parts: readonly (readonly [offset: number, bytes: string | readonly number[]])[]): Uint8Array {
  const bytes = new Uint8Array(PROBE_BYTES);
  for (const [offset, part] of parts)
    bytes.set(typeof part === 'string' ? new TextEncoder().encode(part) : part, offset);
  return bytes;
}

describe('what a volume holds', () => {
  const ext = [
    [1024 + 0x38, [0x53, 0xef]],
    [1024 + 0x68, UUID],
    [1024 + 0x78, 'root'],
  ] as const;
  it.each([
    ['ext2', 'root', UUID_TEXT, volume(...ext)],
    ['ext3', 'root', UUID_TEXT, volume(...ext, [1024 + 0x5c, [4]])],
    ['ext4', 'root', UUID_TEXT, volume(...ext, [1024 + 0x5c, [4]], [1024 + 0x60, [0x40]])],
    ['xfs', 'data', UUID_TEXT, volume([0, 'XFSB'], [32, UUID], [108, 'data'])],
    ['btrfs', 'pool', UUID_TEXT, volume([0x10040, '_BHRfS_M'], [0x10020, UUID], [0x1012b, 'pool'])],
    ['swap', 'paging', UUID_TEXT, volume([4086, 'SWAPSPACE2'], [1036, UUID], [1052, 'paging'])],
    ['crypto_LUKS', '', 'abc-def', volume([0, 'LUKS'], [168, 'abc-def'])],
    [
      'vfat',
      'EFI',
      '1234-ABCD',
      volume([510, [0x55, 0xaa]], [82, 'FAT32'], [67, [0xcd, 0xab, 0x34, 0x12]], [71, 'EFI        ']),
    ],
    [
      'vfat',
      'STICK',
      '1234-ABCD',
      volume([510, [0x55, 0xaa]], [54, 'FAT16'], [39, [0xcd, 0xab, 0x34, 0x12]], [43, 'STICK      ']),
    ],
  ])('%s %s', (type, label, uuid, bytes) => {
    expect(identify(bytes)).toEqual({ type, label, uuid });
  });

  it('is nothing known where there is a boot sector only, nothing, or less than a superblock', () => {
    expect(identify(volume([510, [0x55, 0xaa]]))).toBeNull();
    expect(identify(volume())).toBeNull();
    expect(identify(new Uint8Array(512))).toBeNull();
  });
});
