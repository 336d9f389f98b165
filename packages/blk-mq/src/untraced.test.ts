import { sleepNs } from '@nvme-stack/kernel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTestMachine, liveDisk, TEST_LIMITS } from './fixtures/test-machine.js';
import { REQ_FUA, REQ_NOWAIT, REQ_OP_DISCARD, REQ_OP_FLUSH, REQ_OP_READ, REQ_OP_WRITE, REQ_PREFLUSH } from './ports.js';
import { makeBio } from './testing/bios.js';

const OPS = [
  REQ_OP_READ,
  REQ_OP_WRITE,
  REQ_OP_WRITE | REQ_FUA,
  REQ_OP_WRITE | REQ_PREFLUSH,
  REQ_OP_READ | REQ_NOWAIT,
] as const;

interface Step {
  readonly what: 'io' | 'discard' | 'flush' | 'freeze' | 'quiesce' | 'wait';
  readonly op: number;
  readonly sector: number;
  readonly sectors: number;
}

const steps = fc.array(
  fc.record({
    what: fc.constantFrom(
      'io' as const,
      'io' as const,
      'io' as const,
      'discard' as const,
      'flush' as const,
      'freeze' as const,
      'quiesce' as const,
      'wait' as const,
    ),
    op: fc.constantFrom(...OPS),
    sector: fc.integer({ min: 0, max: 1000 }),
    sectors: fc.integer({ min: 1, max: 40 }),
  }),
  { maxLength: 40 },
);

async function play(
  trace: 'off' | 'full',
  profile: '6.12' | '6.1',
  nrHwQueues: number,
  plugged: boolean,
  list: readonly Step[],
) {
  const m = createTestMachine({ trace, profile });
  return await m.run(async () => {
    const limits = { ...TEST_LIMITS, maxHwSectors: 24, fua: false };
    const { disk, driver } = await liveDisk(m, { sectors: 8192 }, { queueDepth: 4, nrHwQueues }, limits);
    const ends: string[] = [];
    const q = disk.queue;
    let frozen = 0;
    let quiesced = 0;
    const plug = plugged ? m.blkMq.blkStartPlug() : null;
    for (const [i, { what, op, sector, sectors }] of list.entries()) {
      if (what === 'freeze') {
        if (frozen++ % 2 === 0) m.blkMq.blkFreezeQueueStart(q);
        else m.blkMq.blkMqUnfreezeQueue(q);
      } else if (what === 'quiesce') {
        if (quiesced++ % 2 === 0) m.blkMq.blkMqQuiesceQueueNowait(q);
        else m.blkMq.blkMqUnquiesceQueue(q);
      } else if (what === 'wait') {
        await sleepNs(m.kernel, 700);
      } else {
        const opf = what === 'discard' ? REQ_OP_DISCARD : what === 'flush' ? REQ_OP_FLUSH : op;
        const bio = makeBio(
          m.blkMq,
          disk,
          opf,
          what === 'flush' ? 0 : sector,
          what === 'flush' ? 0 : sectors,
          what === 'io',
        );
        bio.endIo = (b) => ends.push(`${i}:${b.status}@${m.kernel.ex.now()}`);
        m.blkMq.submitBio(bio);
      }
    }
    if (plug !== null) m.blkMq.blkFinishPlug(plug);
    if (frozen % 2 === 1) m.blkMq.blkMqUnfreezeQueue(q);
    if (quiesced % 2 === 1) m.blkMq.blkMqUnquiesceQueue(q);
    await sleepNs(m.kernel, 1e8);
    const ios = list.filter(({ what }) => what === 'io' || what === 'discard' || what === 'flush').length;
    expect(ends).toHaveLength(ios);
    expect((q as unknown as { usage: number }).usage).toBe(0);
    return {
      ends,
      seen: driver.seen,
      ios: [...disk.stats.ios],
      sectors: [...disk.stats.sectors],
      merges: [...disk.stats.merges],
    };
  });
}

describe('a run', () => {
  it('is the same whether it is traced or not', async () => {
    await fc.assert(
      fc.asyncProperty(
        steps,
        fc.constantFrom('6.12' as const, '6.1' as const),
        fc.constantFrom(1, 4),
        fc.boolean(),
        async (list, profile, queues, plugged) => {
          const traced = await play('full', profile, queues, plugged, list);
          expect(await play('off', profile, queues, plugged, list)).toEqual(traced);
        },
      ),
      { numRuns: 60 },
    );
  });
});
