import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
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
