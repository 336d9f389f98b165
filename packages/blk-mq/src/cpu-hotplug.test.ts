import { type KernelOptions, sleepNs } from '@nvme-stack/kernel';
import { describe, expect, it } from 'vitest';
import { createTestMachine, liveDisk, type TestDisk, type TestMachine } from './fixtures/test-machine.js';
import { type Bio, BLK_STS_OK, type BlkMqTagSetInit, REQ_OP_DRV_IN, REQ_OP_READ, REQ_OP_WRITE } from './ports.js';
import { makeBio } from './testing/bios.js';

interface Fixture extends TestDisk {
  readonly m: TestMachine;
  /** Ended bios: sector / 8 and the CPU. */
  readonly ended: [number, number][];
  /** Submits a write of 4 KiB from a CPU. */
  submit(n: number, cpu: number): Promise<void>;
  /** Starts what takes a CPU off; done when it is. */
  down(cpu: number): { done: boolean; end: Promise<void> };
  pass(ns: number): Promise<void>;
}

async function setUp(
  changes: Partial<BlkMqTagSetInit> = {},
  manual = true,
  options: Partial<KernelOptions> = {},
): Promise<Fixture> {
  const m = createTestMachine(options);
  const made = await m.run(() => liveDisk(m, { sectors: 8192, manual: false, latencyNs: 1000 }, changes));
  made.driver.manual = manual;
  const ended: [number, number][] = [];
  return {
    ...made,
    m,
    ended,
    submit: (n, cpu) =>
      m.run(async () => {
        const bio = makeBio(m.blkMq, made.disk, REQ_OP_WRITE, n * 8, 8);
        bio.endIo = (b) => {
          expect(b.status).toBe(BLK_STS_OK);
          ended.push([b.sector / 8, m.kernel.ex.cpu]);
        };
        m.blkMq.submitBio(bio);
      }, cpu),
    down: (cpu) => {
      const state = { done: false, end: Promise.resolve() };
      state.end = m.run(async () => {
        await m.kernel.cpus.cpuDown(cpu);
        state.done = true;
      });
      return state;
    },
    pass: (ns) => m.run(() => sleepNs(m.kernel, ns)),
  };
}

describe('a hardware queue whose last CPU goes off', () => {
  it('waits for its requests, and takes no new ones meanwhile', async () => {
    const f = await setUp();
    await f.submit(1, 3);
    await f.submit(2, 0);
    const down = f.down(3);
    await f.pass(20e6);
    expect([down.done, f.m.kernel.cpus.isOnline(3)]).toEqual([false, true]);
    // The CPU is still on: what it submits goes another way.
    await f.submit(3, 3);
    expect(f.driver.seen.map(({ hctx }) => hctx)).toEqual([3, 0, 0]);
    await f.m.run(async () => f.driver.completeOne(0));
    await down.end;
    expect(f.ended).toEqual([[1, 3]]);
    expect(f.driver.outstanding).toHaveLength(2);
  });

  it('rests while the others go on, and serves again with the first CPU of it', async () => {
    const f = await setUp({ nrHwQueues: 2 }, false);
    const { cpus } = f.m.kernel;
    const used = async (cpu: number): Promise<number> => {
      f.driver.seen.length = 0;
      await f.submit(1, cpu);
      await f.pass(1e6);
      return f.driver.seen[0].hctx;
    };
    await f.down(2).end;
    expect(await used(3)).toBe(1);
    await f.down(3).end;
    expect([await used(0), await used(1)]).toEqual([0, 0]);
    await f.m.run(() => cpus.cpuUp(2));
    expect(await used(2)).toBe(1);
    await f.m.run(() => cpus.cpuUp(3));
    expect(await used(3)).toBe(1);
  });

  it('leads the bios that wait for its tags to another one', async () => {
    const f = await setUp({ queueDepth: 1 });
    for (let n = 1; n <= 4; n++) await f.submit(n, 3);
    expect(f.driver.seen.map(({ hctx }) => hctx)).toEqual([3]);
    const down = f.down(3);
    await f.pass(1e6);
    expect(f.driver.seen.map(({ hctx, sector }) => [hctx, sector / 8])).toEqual([
      [3, 1],
      [0, 2],
    ]);
    for (let n = 0; n < 4; n++) {
      await f.m.run(async () => f.driver.completeOne(0));
      await f.pass(1e6);
    }
    await down.end;
    expect(f.ended.map(([n]) => n)).toEqual([1, 2, 3, 4]);
    expect(f.driver.seen.map(({ hctx }) => hctx)).toEqual([3, 0, 0, 0]);
  });

  it('lets tasks that wait for its tags look for another one', async () => {
    const f = await setUp({ queueDepth: 1 });
    const { blkMq, kernel } = f.m;
    const q = f.disk.queue;
    const held = await f.m.run(() => blkMq.blkMqAllocRequest(q, REQ_OP_DRV_IN, {}), 3);
    const waiting = f.m.run(() => blkMq.blkMqAllocRequest(q, REQ_OP_DRV_IN, {}), 3);
    const named = f.m.run(() => blkMq.blkMqAllocRequest(q, REQ_OP_DRV_IN, { hctxIndex: 3 }), 1).catch(String);
    await f.pass(1e6);
    const down = f.down(3);
    const other = await waiting;
    expect([held.mqHctx.queueNum, other.mqHctx.queueNum]).toEqual([3, 0]);
    expect(await named).toContain('no CPU for queue 3: EXDEV');
    await f.m.run(async () => {
      blkMq.blkMqFreeRequest(held);
      blkMq.blkMqFreeRequest(other);
    });
    await down.end;
    expect(kernel.cpus.isOnline(3)).toBe(false);
    await expect(f.m.run(() => blkMq.blkMqAllocRequest(q, REQ_OP_DRV_IN, { hctxIndex: 3 }))).rejects.toThrow('EXDEV');
  });
});

describe('requests of a CPU that goes off', () => {
  it('that the driver has not seen go to it from elsewhere', async () => {
    const f = await setUp({ nrHwQueues: 2 }, false);
    const { blkMq } = f.m;
    await f.m.run(async () => blkMq.blkMqQuiesceQueueNowait(f.disk.queue));
    for (const [n, cpu] of [
      [10, 3],
      [20, 2],
      [30, 3],
    ])
      await f.submit(n, cpu);
    await f.down(3).end;
    expect(f.driver.seen).toEqual([]);
    await f.m.run(async () => blkMq.blkMqUnquiesceQueue(f.disk.queue));
    await f.pass(1e6);
    // What lies in the dispatch list goes first.
    expect(f.driver.seen.map(({ sector, hctx }) => [sector / 8, hctx])).toEqual([
      [10, 1],
      [30, 1],
      [20, 1],
    ]);
    expect(f.ended.map(([n]) => n).sort()).toEqual([10, 20, 30]);
  });

  it('end on another CPU', async () => {
    const f = await setUp({ nrHwQueues: 2 });
    await f.submit(1, 3);
    await f.submit(2, 3);
    await f.m.run(async () => f.driver.completeOne(0));
    await f.pass(1e6);
    await f.down(3).end;
    await f.m.run(async () => f.driver.completeOne(0));
    await f.pass(1e6);
    expect(f.ended).toEqual([
      [1, 3],
      [2, 2],
    ]);
  });

  it('whose completion is on its way to it end on another CPU', async () => {
    const f = await setUp({ nrHwQueues: 2 });
    await f.submit(1, 3);
    await f.m.run(async () => {
      const { ex } = f.m.kernel;
      const [rq] = f.driver.outstanding;
      expect(f.m.blkMq.blkMqCompleteRequestRemote(rq)).toBe(true);
      f.driver.outstanding.length = 0;
      // Nothing has run since: the other CPU's interrupt waits.
      await f.m.kernel.cpus.cpuDown(3);
      expect(ex.cpu).toBe(0);
    });
    await f.pass(1e6);
    expect(f.ended).toEqual([[1, 0]]);
  });
});

describe('I/O from every CPU while CPUs come and go', () => {
  it.each(Array.from({ length: 20 }, (_, n) => n + 1))('ends once, and is right (seed %i)', async (seed) => {
    const nrHwQueues = [4, 2, 1, 3][seed % 4];
    const f = await setUp({ nrHwQueues, queueDepth: 3 }, false, { seed, interleave: true });
    const { m, disk, driver } = f;
    const { kernel, blkMq } = m;
    const ends = new Map<number, number>();
    const writer = (cpu: number): Promise<void> =>
      m.run(async () => {
        for (let round = 0; round < 12; round++) {
          for (let n = 0; n < 5; n++) {
            const at = cpu * 60 + round * 5 + n;
            const bio = makeBio(blkMq, disk, REQ_OP_WRITE, at * 8, 8);
            kernel.memory.bytes.fill(1 + (at % 255), bio.vecAddr[0], bio.vecAddr[0] + 4096);
            bio.endIo = (b: Bio) => {
              expect(b.status).toBe(BLK_STS_OK);
              ends.set(at, (ends.get(at) ?? 0) + 1);
            };
            blkMq.submitBio(bio);
          }
          await sleepNs(kernel, 1e6);
          const read = makeBio(blkMq, disk, REQ_OP_READ, cpu * 480, 8);
          expect(await blkMq.submitBioWait(read)).toBe(BLK_STS_OK);
        }
      }, cpu);
    const writers = [0, 1, 2, 3].map(writer);
    await m.run(async () => {
      for (let n = 0; n < 10; n++) {
        await kernel.cpus.cpuDown(1 + (n % 3));
        await sleepNs(kernel, 700_000);
        if (n % 4 > 1) await kernel.cpus.cpuUp(1 + ((n * 2) % 3));
      }
      for (let cpu = 1; cpu < 4; cpu++) await kernel.cpus.cpuDown(cpu);
      await sleepNs(kernel, 1e6);
      for (let cpu = 1; cpu < 4; cpu++) await kernel.cpus.cpuUp(cpu);
    });
    await Promise.all(writers);
    await f.pass(50e6);
    expect([...ends.values()]).toEqual(new Array(240).fill(1));
    for (let at = 0; at < 240; at++) {
      expect([at, driver.media[at * 4096], driver.media[at * 4096 + 4095]]).toEqual([
        at,
        1 + (at % 255),
        1 + (at % 255),
      ]);
    }
    expect(driver.outstanding).toEqual([]);
  });
});
