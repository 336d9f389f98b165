/** Our controller against QEMU's on one stream of commands, and what the comparison itself must be able to see. */
import { readFileSync } from 'node:fs';
import { qemuMissing } from '@nvme-stack/platform-qemu/node';
import { describe, expect, it } from 'vitest';
import { differential, parseOptions, reportText } from './command.js';
import { ourCorner } from './corners.js';
import { documentText } from './document.js';
import { KNOWN_DIFFERENCES } from './known-differences.js';
import { type Difference, lockstep, type RunOptions } from './lockstep.js';
import { Stream } from './stream.js';

const missing = qemuMissing();
const COMMANDS = 10_000;
const OPCODES = 256;
const DBBUF = 0x7c;
const BENT_BLOCKS = 8;

describe.skipIf(missing !== null)('our controller and QEMU’s', () => {
  it('answer ten thousand commands alike, but for what a table explains', async () => {
    const report = await differential({ commands: COMMANDS, seed: 1 });
    expect(report.unexplained, reportText(report)).toEqual([]);
    expect(report.commands).toBe(COMMANDS);
    // Every kind of command that either offers was also carried out.
    const idle = [...report.sent].filter(([name, { succeeded }]) => succeeded === 0 && !NEVER_SUCCEEDS.has(name));
    expect(idle).toEqual([]);
  }, 300_000);
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

describe('a run that begins in the middle of the stream', () => {
  it('meets the same difference again, at the same position', async () => {
    const run = async (options: Omit<RunOptions, 'seed'>): Promise<Difference> => {
      const [one, other] = [await ourCorner(), await ourCorner()];
      const { exec } = other.host;
      // Reads from one block in eight are answered from the next.
      other.host.exec = (queue, sqe, ...rest) => {
        const low = sqe[40] as number;
        if (queue !== 0 && sqe[0] === 2 && low % BENT_BLOCKS === 1) sqe[40] = low + 1;
        return exec.call(other.host, queue, sqe, ...rest);
      };
      const { unexplained } = await lockstep(one, other, { ...options, seed: 11, limit: 1 });
      for (const corner of [one, other]) await corner.close();
      return unexplained[0] as Difference;
    };
    const first = await run({ commands: 6000, from: 900 });
    const again = await run({ commands: first.index - first.epochStart + 1, from: first.epochStart });
    expect(first.epochStart).toBeGreaterThan(900);
    expect(again).toEqual(first);
  }, 60_000);
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
  it('takes a number of commands, a seed, where to begin and when to end', () => {
    const none = { commands: 10_000, seed: 1, from: 0, limit: 20, document: false };
    expect(parseOptions(['--commands', '1000000', '--seed=9'])).toEqual({ ...none, commands: 1e6, seed: 9 });
    expect(parseOptions(['--from', '183700', '--limit=1'])).toEqual({ ...none, from: 183_700, limit: 1 });
  });

  it.each([
    [['-x'], '"-x" is no option; allowed are --commands, --seed, --from, --limit and --document.'],
    [['--seed', '-1'], '--seed is "-1"; allowed: a whole number from 0 to 4294967295.'],
    [['--limit', '0'], '--limit is "0"; allowed: a whole number from 1 to 100000000.'],
    [['--commands'], '--commands is ""; allowed: a whole number from 0 to 100000000.'],
  ])('refuses %j', (args, sentence) => {
    expect(parseOptions(args)).toBe(sentence);
  });
});
