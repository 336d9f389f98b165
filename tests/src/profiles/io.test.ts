import { BLK_STS_OK, REQ_OP_WRITE, REQ_POLLED } from '@nvme-stack/blk-mq/ports';
import type { Machine } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';
import { ALL, callersOf, calls, during, events, OLD, plugged, READS, running, symbols } from './bench.js';

const FIRST_DOORBELL = 0x1000;

/** How often tails of I/O queues were written to their doorbells. */
function tailWrites(entries: Awaited<ReturnType<typeof during>>): number {
  return entries.filter(
    ({ kind, symbol, args }) =>
      kind === 'mmio' &&
      symbol === 'pci_nvme_mmio_write' &&
      (args[0] as number) >= FIRST_DOORBELL + 8 &&
      ((args[0] as number) - FIRST_DOORBELL) % 8 === 0,
  ).length;
}

function headWrites(entries: Awaited<ReturnType<typeof during>>): number {
  return entries.filter(
    ({ kind, symbol, args }) =>
      kind === 'mmio' &&
      symbol === 'pci_nvme_mmio_write' &&
      (args[0] as number) > FIRST_DOORBELL + 8 &&
      ((args[0] as number) - FIRST_DOORBELL) % 8 === 4,
  ).length;
}

describe('the first read', () => {
  // @acceptance 108 109 134
  it.each([
    ['6.12', 'nvme_queue_rqs', 'blk_mq_flush_plug_list'],
    ['6.1', 'nvme_queue_rq', '__blk_mq_try_issue_directly'],
    ['4.13', 'nvme_queue_rq', '__blk_mq_try_issue_directly'],
    ['4.10', 'nvme_queue_rq', '__blk_mq_try_issue_directly'],
  ] as const)('of %s enters the driver by %s, from %s', async (profile, entry, caller) => {
    const machine = await running(profile);
    const entries = await during(machine, () => machine.disk('nvme0n1').read(0, 4096));
    const [call] = calls(entries, entry);
    expect(callersOf(entries, call).at(-1)).toBe(caller);
    expect(calls(entries, 'nvme_queue_rq').length + calls(entries, 'nvme_queue_rqs').length).toBe(1);
    const order = ['nvme_setup_cmd', 'dma_map_page_attrs', 'blk_mq_start_request'];
    expect(symbols(entries).filter((symbol) => order.includes(symbol))).toEqual(order);
  });

  it.each(OLD)('of %s goes through the block layer under its old names', async (profile) => {
    const machine = await running(profile);
    const entries = await during(machine, () => machine.disk('nvme0n1').read(0, 4096));
    const seen = symbols(entries);
    const allocates = profile === '4.10' ? 'blk_mq_map_request' : 'blk_mq_get_request';
    for (const symbol of ['generic_make_request', 'blk_mq_make_request', allocates]) expect(seen).toContain(symbol);
    for (const symbol of ['submit_bio_noacct', '__submit_bio', 'nvme_prep_rq', 'nvme_pci_complete_batch']) {
      expect(seen).not.toContain(symbol);
    }
  });
});

describe('completion', () => {
  // @acceptance 97 110 116
  it.each(ALL)('of %s ends requests in batches, or one by one', async (profile) => {
    const machine = await running(profile);
    const seen = symbols(await during(machine, () => machine.disk('nvme0n1').read(0, 4096)));
    const isOld = OLD.includes(profile);
    expect(seen.includes('nvme_pci_complete_batch')).toBe(!isOld);
    expect(seen.includes('blk_mq_end_request_batch')).toBe(!isOld);
    expect(seen.includes(profile === '4.10' ? '__nvme_process_cq' : 'nvme_process_cq')).toBe(isOld);
    expect(seen.includes(profile === '4.10' ? 'nvme_complete_rq' : 'nvme_pci_complete_rq')).toBe(isOld);
    expect(seen.includes('blk_mq_end_request')).toBe(isOld);
  });

  // @acceptance 110 117
  it.each(ALL)('of %s writes the head once for all entries it has found', async (profile) => {
    const machine = await running(profile, { cpus: 2, nvme: [{ dbbuf: false, namespaces: [{ sizeMiB: 8 }] }] });
    const entries = await during(machine, () => plugged(machine));
    expect(events(entries, 'io_cmd').length).toBe(READS);
    expect(headWrites(entries)).toBe(1);
    expect(machine.queues('nvme0')[1].cqPhase).toBe(1);
  });
});

describe('submission', () => {
  it.each(ALL)('of %s looks for completions after the doorbell, or leaves them to the interrupt', async (profile) => {
    const machine = await running(profile);
    const entries = await during(machine, () => machine.disk('nvme0n1').read(0, 4096));
    const looks = entries.filter(({ symbol }) => /^(__)?nvme_process_cq$/.test(symbol));
    const bySubmitter = looks.filter((entry) => callersOf(entries, entry).at(-1) === 'nvme_queue_rq');
    expect(bySubmitter.length).toBe(OLD.includes(profile) ? 1 : 0);
  });
});

describe('doorbells', () => {
  // @acceptance 106
  it.each([
    ['6.12', 1],
    ['6.1', 1],
    ['4.13', 8],
    ['4.10', 8],
  ] as const)('of %s for eight commands under a plug: %i', async (profile, count) => {
    const machine = await running(profile, { cpus: 2, nvme: [{ dbbuf: false, namespaces: [{ sizeMiB: 8 }] }] });
    const entries = await during(machine, () => plugged(machine));
    expect(events(entries, 'io_cmd').length).toBe(READS);
    expect(tailWrites(entries)).toBe(count);
  });
});

describe('polling', () => {
  /** Polls for one write until it has ended. */
  async function pollOne(machine: Machine): Promise<readonly [polls: number, polled: boolean]> {
    let polls = 0;
    let polled = false;
    await machine.task('poller', async ({ blkMq, kernel }) => {
      const page = kernel.memory.allocPages(1, 'test');
      const found = blkMq.lookup('nvme0n1');
      if (found === null) throw new Error('no disk');
      const bio = blkMq.allocBio(1);
      bio.disk = found.disk;
      bio.opf = REQ_OP_WRITE | REQ_POLLED;
      bio.sector = 0;
      bio.vecAddr[0] = page;
      bio.vecLengthBytes[0] = 4096;
      bio.vcnt = 1;
      bio.sizeBytes = 4096;
      polls = machine.trace.entries.length;
      const status = await blkMq.submitBioWait(bio);
      expect(status).toBe(BLK_STS_OK);
      polled = (bio.opf & REQ_POLLED) !== 0;
      polls = calls(machine.trace.entries.slice(polls), 'nvme_poll').length;
      kernel.memory.freePages(page, 1);
    });
    return [polls, polled];
  }

  // @acceptance 118
  it.each(OLD)('of %s asks any queue for one tag', async (profile) => {
    const machine = await running(profile);
    const [polls, polled] = await pollOne(machine);
    expect(polled).toBe(true);
    expect(polls).toBeGreaterThan(0);
    expect(machine.queues('nvme0').some((queue) => queue.polled)).toBe(false);
  });

  // @acceptance 118
  it.each(['6.12', '6.1'] as const)('of %s needs poll queues', async (profile) => {
    const machine = await running(profile);
    expect(await pollOne(machine)).toEqual([0, false]);
    expect(machine.queues('nvme0').some((queue) => queue.polled)).toBe(false);
  });
});
