import { expect, test } from 'vitest';
import { bit, bits } from './bits.js';
import { register32, register64, registerMap } from './registers.js';

const Device = registerMap('device', 0x20, {
  CAP: register64(0x00, { MPSMAX: bits(55, 52), MQES: bits(15, 0) }),
  CC: register32(0x14, { CSS: bits(6, 4), EN: bit(0) }),
});

test('finds the register an offset belongs to', () => {
  expect([Device.nameAt(0), Device.nameAt(7), Device.nameAt(0x16), Device.nameAt(8)]).toEqual([
    'CAP',
    'CAP',
    'CC',
    undefined,
  ]);
  expect(Device.registers.CC.fields.CSS.get(0x60)).toBe(6);
});

test('prints a register with its fields', () => {
  expect(
    Device.describe('CAP', 0x7ff, 0x400000)
      .split('\n')
      .map((line) => line.trim().replace(/ +/g, ' ')),
  ).toEqual(['CAP (0x0) = 0x400000000007ff', 'MPSMAX bits 55:52 0x4', 'MQES bits 15:0 0x7ff']);
});

test.each([
  [
    () => registerMap('d', 0x20, { A: register64(0, {}), B: register32(4, {}) }),
    /registers A \(0x0\) and B \(0x4\) overlap/,
  ],
  [() => registerMap('d', 0x20, { A: register64(4, {}) }), /d\.A: offset 0x4 is not aligned to 8 bytes/],
  [() => registerMap('d', 0x20, { A: register32(0x20, {}) }), /d\.A: offset 0x20 lies outside the map's 32 bytes/],
  [
    () => registerMap('d', 0x20, { A: register32(0, { X: bit(40) }) }),
    /d\.A: bit field X \(40\) lies outside its 32 bits/,
  ],
])('refuses a wrong map %#', (declare, sentence) => {
  expect(declare).toThrow(sentence);
});
