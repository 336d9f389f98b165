// The event heap gives events back by time, and those of one time in the order of arming.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventHeap } from './event-heap.js';

describe('EventHeap', () => {
  it('is a stable priority queue', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 200 }), (times) => {
        const heap = new EventHeap();
        for (const [i, time] of times.entries()) heap.push(time, i & 3, i);
        const popped: [number, number][] = [];
        while (heap.count > 0) {
          expect(heap.nextTimeNs).toBe(heap.times[0]);
          popped.push([heap.times[0] as number, heap.args[0] as number]);
          heap.pop();
        }
        expect(heap.nextTimeNs).toBe(Infinity);
        const expected = times.map((time, i): [number, number] => [time, i]);
        expected.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
        expect(popped).toEqual(expected);
      }),
    );
  });
});
