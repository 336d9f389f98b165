import { sleepNs } from '@nvme-stack/kernel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTestMachine, liveDisk, TEST_LIMITS } from './fixtures/test-machine.js';
import { type Bio, BLK_STS_OK, REQ_OP_READ, REQ_OP_WRITE } from './ports.js';
import { bitmapClear, bitmapGet, bitmapTest, TagBitmap } from './tags.js';
import { makeBio } from './testing/bios.js';

describe('laws', () => {
  it('no tag is out twice, and a free one is found as long as there is one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.array(fc.nat(), { maxLength: 300 }), (depth, steps) => {
        const map = new TagBitmap(depth, 2);
        const out: number[] = [];
        for (const step of steps) {
          const cpu = step & 1;
          if (step % 3 < 2) {
            const tag = bitmapGet(map, cpu);
            expect(tag < 0).toBe(out.length === depth);
            if (tag < 0) continue;
            expect(tag).toBeLessThan(depth);
            expect(out).not.toContain(tag);
            expect(bitmapTest(map, tag)).toBe(true);
            out.push(tag);
          } else if (out.length > 0) {
            const [tag] = out.splice(step % out.length, 1);
            expect(bitmapClear(map, tag, cpu, true)).toBe(true);
            expect(bitmapClear(map, tag, cpu, true)).toBe(false);
          }
        }
        expect(map.busy).toBe(out.length);
      }),
    );
  });

  it('no bio is lost or ended twice, whatever the order of completion', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ sector: fc.nat(900), write: fc.boolean(), plug: fc.boolean() }), {
          minLength: 1,
          maxLength: 40,
        }),
        fc.array(fc.nat(), { minLength: 80, maxLength: 80 }),
        fc.constantFrom('6.12' as const, '6.1' as const),
        fc.constantFrom(1, 4),
        async (bios, order, profile, nrHwQueues) => {
          const m = createTestMachine({ trace: 'off', profile });
          await m.run(async () => {
            const { disk, driver } = await liveDisk(m, { sectors: 8192 }, { queueDepth: 3, nrHwQueues });
            driver.manual = true;
            const ends = new Map<Bio, number>();
            for (const { sector, write, plug } of bios) {
              const guard = plug ? m.blkMq.blkStartPlug() : null;
              const bio = makeBio(m.blkMq, disk, write ? REQ_OP_WRITE : REQ_OP_READ, sector * 8, 8);
              ends.set(bio, 0);
              bio.endIo = (b) => ends.set(b, (ends.get(b) as number) + 1);
              m.blkMq.submitBio(bio);
              if (guard !== null) m.blkMq.blkFinishPlug(guard);
            }
            for (let i = 0; ; i++) {
              if (driver.outstanding.length === 0) {
                await sleepNs(m.kernel, 1e7);
                if (driver.outstanding.length === 0) break;
              }
              driver.completeOne(order[i % order.length] % driver.outstanding.length);
              await sleepNs(m.kernel, 5000);
            }
            expect([...ends.values()].every((n) => n === 1)).toBe(true);
          });
        },
      ),
      { numRuns: 25 },
    );
  });

  it('splitting covers a bio exactly, in order, within every limit', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ pages: fc.integer({ min: 1, max: 20 }), gap: fc.boolean() }), {
          minLength: 1,
          maxLength: 30,
        }),
        fc.record({
          maxHwSectors: fc.integer({ min: 8, max: 300 }),
          maxSegments: fc.integer({ min: 1, max: 12 }),
          virtBoundaryMask: fc.constantFrom(0, 4095),
          maxSegmentSizeBytes: fc.constantFrom(4096, 65536),
          chunkSectors: fc.constantFrom(0, 64, 256),
        }),
        fc.nat(64),
        async (shape, limits, start) => {
          const m = createTestMachine({ trace: 'off' });
          await m.run(async () => {
            const { disk, driver } = await liveDisk(m, { sectors: 16384 }, {}, { ...TEST_LIMITS, ...limits });
            const lim = disk.queue.limits;
            const base = m.kernel.memory.allocPages(1200, 'test');
            const bio = m.blkMq.allocBio(shape.length);
            bio.opf = REQ_OP_WRITE;
            bio.disk = disk;
            bio.sector = start;
            let addr = base;
            for (const { pages, gap } of shape) {
              if (gap) addr += 4096;
              bio.vecAddr[bio.vcnt] = addr;
              bio.vecLengthBytes[bio.vcnt++] = pages * 4096;
              bio.sizeBytes += pages * 4096;
              addr += pages * 4096;
            }
            const want: number[] = [];
            for (let i = 0; i < bio.vcnt; i++) {
              for (let at = 0; at < bio.vecLengthBytes[i]; at += 512) {
                const here = bio.vecAddr[i] + at;
                m.kernel.memory.u32[here >>> 2] = here;
                want.push(here);
              }
            }
            expect(await m.blkMq.submitBioWait(bio)).toBe(BLK_STS_OK);
            let next = start;
            for (const { sector, lengthBytes, segments } of driver.seen) {
              expect(segments).toBeLessThanOrEqual(lim.maxSegments);
              expect(sector).toBe(next);
              next += lengthBytes / 512;
              expect(lengthBytes / 512).toBeLessThanOrEqual(lim.maxHwSectors);
              if (lim.chunkSectors > 0)
                expect(Math.floor(sector / lim.chunkSectors)).toBe(Math.floor((next - 1) / lim.chunkSectors));
            }
            expect(next).toBe(start + bio.sizeBytes / 512);
            const media = new DataView(driver.media.buffer);
            for (const [i, value] of want.entries()) expect(media.getUint32((start + i) * 512, true)).toBe(value);
          });
        },
      ),
      { numRuns: 40 },
    );
  });

  it('merging keeps every byte in its place', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray(
          Array.from({ length: 24 }, (_, i) => i),
          { minLength: 1 },
        ),
        async (blocks) => {
          const m = createTestMachine({ trace: 'off' });
          await m.run(async () => {
            const { disk, driver } = await liveDisk(m, { sectors: 8192 });
            const plug = m.blkMq.blkStartPlug();
            let ended = 0;
            for (const block of blocks) {
              const bio = makeBio(m.blkMq, disk, REQ_OP_WRITE, block * 8, 8);
              m.kernel.memory.bytes.fill(block + 1, bio.vecAddr[0], bio.vecAddr[0] + 4096);
              bio.endIo = () => {
                ended++;
              };
              m.blkMq.submitBio(bio);
            }
            m.blkMq.blkFinishPlug(plug);
            await sleepNs(m.kernel, 1e6);
            expect(ended).toBe(blocks.length);
            expect(driver.seen.reduce((sum, s) => sum + s.lengthBytes, 0)).toBe(blocks.length * 4096);
            expect(driver.seen.length + disk.stats.merges[1]).toBe(blocks.length);
            for (let block = 0; block < 24; block++) {
              const value = blocks.includes(block) ? block + 1 : 0;
              expect(driver.media[block * 4096]).toBe(value);
              expect(driver.media[block * 4096 + 4095]).toBe(value);
            }
          });
        },
      ),
      { numRuns: 40 },
    );
  });
});
