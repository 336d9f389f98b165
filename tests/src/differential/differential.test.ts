/** Our controller against QEMU's on one stream of commands, and what the comparison itself must be able to see. */
import { readFileSync } from 'node:fs';
import { qemuMissing } from '@nvme-stack/platform-qemu/node';
import { describe, expect, it } from 'vitest';
import { differential, parseOptions, reportText } from './command.js';
import { ourCorner } from './corners.js';
import { documentText } from './document.js';
import { KNOWN_DIFFERENCES } from './known-differences.js';
import { lockstep } from './lockstep.js';
import { Stream } from './stream.js';

const missing = qemuMissing();
const COMMANDS = 10_000;
const OPCODES = 256;
const DBBUF = 0x7c;

describe.skipIf(missing !== null)('our controller and QEMU’s', () => {
  it('answer ten thousand commands alike, but for what a table explains', async () => {
    const report = await differential(COMMANDS, 1);
    expect(report.unexplained, reportText(report)).toEqual([]);
    expect(report.commands).toBe(COMMANDS);
    // Every kind of command that either offers was also carried out.
    const idle = [...report.sent].filter(([name, { succeeded }]) => succeeded === 0 && !NEVER_SUCCEEDS.has(name));
    expect(idle).toEqual([]);
  }, 120_000);
});

/** Neither controller carries these out. */
const NEVER_SUCCEEDS: ReadonlySet<string> = new Set([
  'Write Uncorrectable',
  'Namespace Attachment',
  'Asynchronous Event Request',
  'Abort',
]);

describe('the comparison', () => {
  it('finds nothing between two controllers of ours', async () => {
    const [one, other] = [await ourCorner(), await ourCorner()];
    const report = await lockstep(one, other, { commands: 3000, seed: 7 });
    expect(report.unexplained, reportText(report)).toEqual([]);
    for (const corner of [one, other]) await corner.close();
  });

  it.each([
    ['a status', (sqe: Uint8Array) => (sqe[0] === 2 ? sqe.fill(0x80, 40, 44) : sqe)],
    ['dword 0', (sqe: Uint8Array) => (sqe[0] === 10 ? sqe.fill(7, 40, 41) : sqe)],
    ['data', (sqe: Uint8Array) => (sqe[0] === 6 ? sqe.fill(0, 40, 41) : sqe)],
  ])('sees a difference in %s', async (_what, bend) => {
    const [one, other] = [await ourCorner(), await ourCorner()];
    const { exec } = other.host;
    let sent = 0;
    other.host.exec = (queue, sqe, mayPend) => exec.call(other.host, queue, ++sent > 40 ? bend(sqe) : sqe, mayPend);
    const report = await lockstep(one, other, { commands: 2000, seed: 3, limit: 1 });
    expect(report.unexplained.length).toBeGreaterThan(0);
    for (const corner of [one, other]) await corner.close();
  });
});

describe('the stream', () => {
  const steps = (seed: number, count: number) => {
    const stream = new Stream(seed);
    return Array.from({ length: count }, () => stream.next());
  };

  it('is the same for a seed, and another for another', () => {
    expect(steps(5, 200)).toEqual(steps(5, 200));
    expect(steps(5, 20)).not.toEqual(steps(6, 20));
  });

  it('has every opcode of both sets but one, and makes every field hostile', () => {
    const all = steps(1, 60_000);
    for (const isAdmin of [true, false]) {
      const opcodes = new Set(all.filter(({ queue }) => (queue === 0) === isAdmin).map(({ sqe }) => sqe[0]));
      expect(opcodes.size).toBe(isAdmin ? OPCODES - 1 : OPCODES);
      expect(isAdmin && opcodes.has(DBBUF)).toBe(false);
    }
    const changed = new Set(all.flatMap((step) => step.changed));
    const dwords = [1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15].map((index) => `dword ${index}`);
    expect(
      [...dwords, 'opcode', 'fuse', 'PSDT', 'PRP1', 'PRP2', 'PRP list'].filter((one) => !changed.has(one)),
    ).toEqual([]);
  });
});

describe('the table', () => {
  it('is what docs/differential.md shows', () => {
    const file = readFileSync(new URL('../../../docs/differential.md', import.meta.url), 'utf8');
    expect(file).toBe(documentText());
  });

  it('has each difference once, with the section that decides it', () => {
    expect(new Set(KNOWN_DIFFERENCES.map(({ id }) => id)).size).toBe(KNOWN_DIFFERENCES.length);
    expect(KNOWN_DIFFERENCES.filter(({ spec }) => !/\[NVMe?\] \d/.test(spec))).toEqual([]);
  });
});

describe('the command line', () => {
  it('takes a number of commands and a seed', () => {
    expect(parseOptions(['--commands', '1000000', '--seed=9'])).toEqual({ commands: 1e6, seed: 9, document: false });
  });

  it.each([
    [['-x'], '"-x" is no option; allowed are --commands, --seed and --document.'],
    [['--seed', '-1'], '--seed is "-1"; allowed: a whole number from 0 to 4294967295.'],
    [['--commands'], '--commands is ""; allowed: a whole number from 0 to 100000000.'],
  ])('refuses %j', (args, sentence) => {
    expect(parseOptions(args)).toBe(sentence);
  });
});
