import { sleepNs } from '@nvme-stack/kernel';
import { describe, expect, it } from 'vitest';
import { createTestMachine, functionTree, liveDisk } from './fixtures/test-machine.js';
import { BLK_STS_IOERR, BLK_STS_OK, REQ_OP_READ, REQ_OP_WRITE, REQ_SYNC } from './ports.js';

const indentTree = (text: string): string[] => text.split('\n').filter((line) => line.trim() !== '');

describe('submission on 6.12', () => {
  it('nests as Linux does, for a one-page read', async () => {
    const m = createTestMachine();
    const tree = await m.run(async () => {
      const { disk } = await liveDisk(m, { sectors: 2048 });
      // The file that the partition scan opened is closed by a worker.
      await sleepNs(m.kernel, 10_000);
      const bio = m.blkMq.allocBio(1);
      bio.opf = REQ_OP_READ | REQ_SYNC;
      bio.disk = disk;
      bio.sizeBytes = 4096;
      bio.vcnt = 1;
      bio.vecAddr[0] = m.kernel.memory.allocPages(1, 'test');
      bio.vecLengthBytes[0] = 4096;
      const from = m.kernel.trace.entries.length;
      expect(await m.blkMq.submitBioWait(bio)).toBe(BLK_STS_OK);
      return functionTree(m.kernel, from);
    });
    expect(tree).toEqual(
      indentTree(`
submit_bio_wait
  submit_bio
    submit_bio_noacct
      submit_bio_noacct_nocheck
        __submit_bio
          blk_mq_submit_bio
            bio_integrity_prep
            blk_attempt_plug_merge
            blk_mq_sched_bio_merge
            __blk_mq_alloc_requests
              blk_mq_get_tag
                __blk_mq_get_tag
              blk_mq_rq_ctx_init
            blk_add_rq_to_plug
          __blk_flush_plug
            blk_mq_flush_plug_list
              blk_mq_start_request
                blk_add_timer
blk_mq_complete_request_remote
blk_mq_end_request_batch
  blk_account_io_completion
  bio_endio
    submit_bio_wait_endio
      complete
  blk_stat_add
  blk_mq_finish_request
  blk_mq_put_tags`),
    );
  });

  it('looks at limits when a bio is longer than a page', async () => {
    const m = createTestMachine();
    const tree = await m.run(async () => {
      const { disk } = await liveDisk(m, { sectors: 2048 });
      const bio = m.blkMq.allocBio(1);
      bio.opf = REQ_OP_WRITE | REQ_SYNC;
      bio.disk = disk;
      bio.sizeBytes = 65536;
      bio.vcnt = 1;
      bio.vecAddr[0] = m.kernel.memory.allocPages(16, 'test');
      bio.vecLengthBytes[0] = 65536;
      const from = m.kernel.trace.entries.length;
      await m.blkMq.submitBioWait(bio);
      return functionTree(m.kernel, from).map((line) => line.trim());
    });
    const at = tree.indexOf('blk_mq_submit_bio');
    expect(tree.slice(at + 1, at + 6)).toEqual([
      'bio_split_rw',
      'bio_split_rw_at',
      'bvec_split_segs',
      'bio_integrity_prep',
      'blk_attempt_plug_merge',
    ]);
  });
});

describe('submission on 6.1', () => {
  it('issues directly', async () => {
    const m = createTestMachine({ profile: '6.1' });
    const tree = await m.run(async () => {
      const { disk } = await liveDisk(m, { sectors: 2048 });
      const bio = m.blkMq.allocBio(1);
      bio.opf = REQ_OP_READ;
      bio.disk = disk;
      bio.sizeBytes = 4096;
      bio.vcnt = 1;
      bio.vecAddr[0] = m.kernel.memory.allocPages(1, 'test');
      bio.vecLengthBytes[0] = 4096;
      const from = m.kernel.trace.entries.length;
      await m.blkMq.submitBioWait(bio);
      return functionTree(m.kernel, from);
    });
    expect(tree.slice(4, 18)).toEqual(
      indentTree(`
        __submit_bio
          blk_mq_submit_bio
            bio_integrity_prep
            blk_mq_attempt_bio_merge
              blk_attempt_plug_merge
              blk_mq_sched_bio_merge
            __blk_mq_alloc_requests
              blk_mq_get_tag
                __blk_mq_get_tag
              blk_mq_rq_ctx_init
            blk_mq_try_issue_directly
              __blk_mq_try_issue_directly
                blk_mq_start_request
                  blk_add_timer`),
    );
  });
});

describe('data', () => {
  it('reads back what it wrote, over a split', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk, driver } = await liveDisk(m, { sectors: 8192 });
      const pages = m.kernel.memory.allocScattered(300, 'test') as number[];
      const bio = m.blkMq.allocBio(300);
      const fill = (op: number): void => {
        bio.opf = op;
        bio.disk = disk;
        bio.sector = 8;
        bio.sizeBytes = 300 * 4096;
        bio.vcnt = 300;
        pages.forEach((addr, i) => {
          bio.vecAddr[i] = addr;
          bio.vecLengthBytes[i] = 4096;
        });
      };
      const { bytes } = m.kernel.memory;
      for (const [i, addr] of pages.entries()) bytes.fill(i & 0xff, addr, addr + 4096);
      fill(REQ_OP_WRITE);
      expect(await m.blkMq.submitBioWait(bio)).toBe(BLK_STS_OK);
      expect(driver.seen.map((s) => [s.sector, s.lengthBytes / 512])).toEqual([
        [8, 1016],
        [1024, 1016],
        [2040, 368],
      ]);
      for (const addr of pages) bytes.fill(0xee, addr, addr + 4096);
      fill(REQ_OP_READ);
      expect(await m.blkMq.submitBioWait(bio)).toBe(BLK_STS_OK);
      for (const [i, addr] of pages.entries()) expect(bytes[addr + 4095]).toBe(i & 0xff);
    });
  });

  it('ends a bio beyond the disk with an error and a log line', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk } = await liveDisk(m, { sectors: 64 });
      const bio = m.blkMq.allocBio(1);
      bio.opf = REQ_OP_READ;
      bio.disk = disk;
      bio.sector = 60;
      bio.sizeBytes = 4096;
      bio.vcnt = 1;
      bio.vecLengthBytes[0] = 4096;
      expect(await m.blkMq.submitBioWait(bio)).toBe(BLK_STS_IOERR);
      expect(m.kernel.printk.lines.at(-1)?.text).toBe(
        'test: attempt to access beyond end of device\nnvme0n1: rw=2048, sector=60, nr_sectors = 8 limit=64',
      );
    });
  });
});
