import { expect, it } from 'vitest';
import { bitmapList } from './bitmap-list.js';

it.each([
  [[], ''],
  [[4], '4'],
  [[0, 1], '0-1'],
  [[0, 1, 2, 3, 8], '0-3,8'],
  [[9, 1, 10, 3, 2], '1-3,9-10'],
])('prints %j as the kernel prints a bitmap: %s', (bits, text) => {
  expect(bitmapList(bits)).toBe(text);
});
