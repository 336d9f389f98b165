import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { callerDirectory } from './caller.js';
import { type KeySource, Keys } from './keys.js';
import { widthOf } from './layout.js';
import { withProgress } from './progress.js';
import { endOnBrokenPipe, wantsColour } from './terminal.js';

describe('a stream of the demo', () => {
  it('ends quietly when its reader has gone', () => {
    const stream = new EventEmitter();
    let ended = 0;
    endOnBrokenPipe(stream, () => {
      ended++;
    });
    stream.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    expect(ended).toBe(1);
  });

  it('keeps no other error to itself', () => {
    const stream = new EventEmitter();
    endOnBrokenPipe(stream, () => {});
    const full = Object.assign(new Error('no space'), { code: 'ENOSPC' });
    expect(() => stream.emit('error', full)).toThrow('no space');
  });
});

it.each([
  [true, {}, true],
  [true, { TERM: 'xterm' }, true],
  [true, { NO_COLOR: '1' }, false],
  [true, { NO_COLOR: '' }, true],
  [true, { TERM: 'dumb' }, false],
  [false, {}, false],
])('on a terminal: %s, with %j: colour %s', (isTerminal, env, colour) => {
  expect(wantsColour(isTerminal, env)).toBe(colour);
});

it.each([
  [null, 100],
  [80, 80],
  [120, 120],
  [20, 60],
  [300, 160],
])('a terminal of %j columns is written to in %i', (columns, width) => {
  expect(widthOf(columns)).toBe(width);
});

it.each([
  ['a package manager runs the script', '/repo', { INIT_CWD: '/home/me' }, '/home/me'],
  ['the same, seen with a slash', '/repo/', { INIT_CWD: '/home/me' }, '/home/me'],
  ['the caller stands elsewhere', '/home/you', { INIT_CWD: '/home/me' }, '/home/you'],
  ['nothing is said', '/repo', {}, '/repo'],
  ['nothing is said in words', '/repo', { INIT_CWD: '' }, '/repo'],
])('paths start where the caller stands: %s', (_, cwd, env, directory) => {
  expect(callerDirectory(cwd, '/repo/', env)).toBe(directory);
});

class FakeInput extends EventEmitter implements KeySource {
  readonly isTTY: boolean;
  readonly raw: boolean[] = [];

  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
  }

  setRawMode(raw: boolean): void {
    this.raw.push(raw);
  }

  resume(): void {}
  pause(): void {}
}

describe('keys', () => {
  it.each([
    [' ', 'next'],
    ['\r', 'next'],
    ['\u001b[A', 'next'],
    ['q', 'quit'],
    ['Q', 'quit'],
    ['\u0003', 'quit'],
    ['\u0004', 'quit'],
  ])('%j on a terminal means %s, and the terminal is as it was', async (key, answer) => {
    const input = new FakeInput(true);
    const next = new Keys(input).next();
    input.emit('data', new TextEncoder().encode(key));
    expect(await next).toBe(answer);
    expect(input.raw).toEqual([true, false]);
  });

  it('are all taken that were typed at once', async () => {
    const input = new FakeInput(true);
    const keys = new Keys(input);
    const first = keys.next();
    input.emit('data', ' q');
    expect([await first, await keys.next()]).toEqual(['next', 'quit']);
  });

  it('are lines where there is no terminal, and its end stands for the rest', async () => {
    const input = new FakeInput(false);
    const keys = new Keys(input);
    const first = keys.next();
    input.emit('data', 'a\nq\n');
    expect([await first, await keys.next()]).toEqual(['next', 'quit']);
    const third = keys.next();
    input.emit('end');
    expect([await third, await keys.next()]).toEqual(['next', 'next']);
    expect(input.raw).toEqual([]);
  });
});

describe('progress', () => {
  it('is drawn over itself, not too often, and erased in the end, also by an error', async () => {
    const drawn: string[] = [];
    let now = 0;
    const host = { terminal: (text: string) => void drawn.push(text), nowMs: () => now, width: 40 };
    const work = async (onProgress: (done: number, total: number) => void) => {
      onProgress(0, 10);
      now = 1;
      onProgress(1, 10);
      now = 100;
      onProgress(5, 10);
      throw new Error('broken');
    };
    await expect(withProgress(host, 'Reading', work)).rejects.toThrow('broken');
    expect(drawn).toEqual([
      `\r\u001b[KReading  ${'░'.repeat(24)}   0 %`,
      `\r\u001b[KReading  ${'█'.repeat(12)}${'░'.repeat(12)}  50 %`,
      '\r\u001b[K',
    ]);
  });

  it('is nothing where there is no terminal', async () => {
    const host = { terminal: null, nowMs: () => 0, width: 80 };
    expect(await withProgress(host, 'Reading', async () => 7)).toBe(7);
  });
});
