import { describe, expect, it } from 'vitest';
import { createLiveObjects, liveCounter } from './live-objects.js';
import type { LiveObjects } from './ports.js';

describe('live objects', () => {
  it('lists what is live beyond the baseline, by kind and name', () => {
    const live = createLiveObjects();
    live.add('work', 'boot', 2);
    live.baseline();
    expect(live.leaks()).toEqual([]);
    live.add('work', 'boot');
    live.add('tags', 'b');
    live.add('tags', 'a', 3);
    expect(live.leaks()).toEqual([
      { kind: 'tags', name: 'a', count: 3 },
      { kind: 'tags', name: 'b', count: 1 },
      { kind: 'work', name: 'boot', count: 1 },
    ]);
    live.remove('tags', 'a', 3);
    live.remove('work', 'boot', 2);
    expect(live.leaks()).toEqual([{ kind: 'tags', name: 'b', count: 1 }]);
  });

  it('throws when more is removed than is live', () => {
    const live = createLiveObjects();
    live.add('pages', 'a');
    expect(() => live.remove('pages', 'a', 2)).toThrow("pages 'a': 2 removed, but only 1 live");
  });

  it('offers a counter without look-up, also over another implementation', () => {
    const live = createLiveObjects();
    const foreign: LiveObjects = {
      add: (kind, name, count) => live.add(kind, name, count),
      remove: (kind, name, count) => live.remove(kind, name, count),
      leaks: () => live.leaks(),
      baseline: () => live.baseline(),
    };
    liveCounter(live, 'mappings', 'a').add(2);
    const counter = liveCounter(foreign, 'mappings', 'a');
    counter.add(5);
    counter.remove(1);
    expect(live.leaks()).toEqual([{ kind: 'mappings', name: 'a', count: 6 }]);
  });
});
