import {
  BLK_STS_MEDIUM,
  BLK_STS_NOTSUPP,
  BLK_STS_OK,
  BLK_STS_TARGET,
  REQ_FUA,
  REQ_OP_DISCARD,
  REQ_OP_FLUSH,
  REQ_OP_READ,
  REQ_OP_WRITE,
  REQ_OP_WRITE_ZEROES,
} from '@nvme-stack/blk-mq/ports';
import { NVME_SC_READ_ERROR, NVME_STATUS_DNR, NvmeDsmRange } from '@nvme-stack/nvme-protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTestMachine, type TestMachine } from './fixtures/test-machine.js';
import { NVME_QUIRK_DEALLOCATE_ZEROES } from './ports.js';
import { nvmeErrorStatus } from './status-map.js';
import type { FakeNvmeTransport } from './testing.js';

interface Bench {
  readonly machine: TestMachine;
  readonly transport: FakeNvmeTransport;
}

async function bench(lbaShift = 9, quirks = 0): Promise<Bench> {
  const machine = createTestMachine();
  const transport = machine.transport({ namespaces: [{ nsid: 1, blocks: 4096, lbaShift }] });
  await machine.run(async () => {
    await machine.core.nvmeCoreInit({});
    await transport.probe(quirks);
  });
  await machine.door.settle(1e9);
  transport.sent.length = 0;
  return { machine, transport };
}

function ioTexts(machine: TestMachine, symbol: string): string[] {
  return machine.kernel.trace.entries
    .filter((e) => e.symbol === symbol && e.text.includes('disk='))
    .map(({ text }) => text);
}

describe('reads and writes', () => {
  it('carry data to the block and back, for every block size', async () => {
    for (const lbaShift of [9, 12]) {
      const { machine, transport } = await bench(lbaShift);
      const out = Uint8Array.from({ length: 4096 }, (_, i) => i % 251);
      const back = new Uint8Array(4096);
      await machine.run(async () => {
        expect(await machine.io('nvme0n1', REQ_OP_WRITE, 16, out)).toBe(BLK_STS_OK);
        expect(await machine.io('nvme0n1', REQ_OP_READ, 16, back)).toBe(BLK_STS_OK);
      });
      expect(back).toEqual(out);
      const [write] = transport.sent;
      expect([write.words[1], write.words[10], write.words[12]]).toEqual([
        1,
        (16 * 512) / 2 ** lbaShift,
        4096 / 2 ** lbaShift - 1,
      ]);
    }
  });

  it('print the trace events Linux prints', async () => {
    const { machine } = await bench();
    const before = ioTexts(machine, 'nvme_setup_cmd').length;
    await machine.run(() => machine.io('nvme0n1', REQ_OP_WRITE | REQ_FUA, 8, new Uint8Array(4096)));
    const setup = ioTexts(machine, 'nvme_setup_cmd')[before];
    expect(setup).toMatch(
      /^nvme0: disk=nvme0n1, qid=\d, cmdid=\d+, nsid=1, flags=0x0, meta=0x0, cmd=\(nvme_cmd_write slba=8, len=7, ctrl=0x4000, dsmgmt=0, reftag=0\)$/,
    );
    expect(ioTexts(machine, 'nvme_complete_rq').at(-1)).toMatch(
      /^nvme0: disk=nvme0n1, qid=\d, cmdid=\d+, res=0x0, retries=0, flags=0x0, status=0x0$/,
    );
    expect(ioTexts(machine, 'nvme_sq').at(-1)).toMatch(/^nvme0: disk=nvme0n1, qid=\d, head=0, tail=0$/);
  });

  it('flush with the namespace’s id and nothing else', async () => {
    const { machine, transport } = await bench();
    await machine.run(() => machine.io('nvme0n1', REQ_OP_FLUSH | 0, 0, new Uint8Array(0)));
    await machine.run(() => machine.io('nvme0n1', REQ_OP_WRITE, 0, new Uint8Array(512)));
    await machine.run(() => machine.io('nvme0n1', REQ_OP_FLUSH, 0, new Uint8Array(0)));
    const flushes = transport.sent.filter(({ words }) => (words[0] & 0xff) === 0);
    expect(flushes.length).toBeGreaterThan(0);
    expect([...flushes[0].words.slice(1)]).toEqual([1, ...new Array(14).fill(0)]);
  });
});

describe('discard and write zeroes', () => {
  it('discard sends ranges in a page of their own and frees it', async () => {
    const { machine, transport } = await bench();
    const free = machine.kernel.memory.freePageCount;
    await machine.run(() => machine.io('nvme0n1', REQ_OP_DISCARD, 64, new Uint8Array(8192)));
    const [command] = transport.sent;
    expect([command.words[0] & 0xff, command.words[10], command.words[11], command.lengthBytes]).toEqual([
      9, 0, 4, 4096,
    ]);
    expect(NvmeDsmRange.decode(transport.controller.discards[0])).toEqual({ cattr: 0, nlb: 16, slba: 64 });
    expect(machine.kernel.memory.freePageCount).toBe(free);
  });

  it('write zeroes may deallocate where deallocated blocks read as zeroes', async () => {
    const { machine, transport } = await bench();
    await machine.run(() => machine.io('nvme0n1', REQ_OP_WRITE_ZEROES, 8, new Uint8Array(4096)));
    expect([transport.sent[0].words[0] & 0xff, transport.sent[0].words[12]]).toEqual([8, (0x200 << 16) | 7]);
  });

  it('write zeroes is a discard for controllers with that quirk', async () => {
    const { machine, transport } = await bench(9, NVME_QUIRK_DEALLOCATE_ZEROES);
    await machine.run(() => machine.io('nvme0n1', REQ_OP_WRITE_ZEROES, 8, new Uint8Array(4096)));
    expect(transport.controller.discards.length).toBe(1);
  });
});

describe('failures', () => {
  it('without DNR are tried again max_retries times, then reported and logged', async () => {
    const { machine, transport } = await bench();
    transport.intercept = ({ qid }) => (qid > 0 ? { status: NVME_SC_READ_ERROR } : undefined);
    const status = await machine.run(() => machine.io('nvme0n1', REQ_OP_READ, 128, new Uint8Array(4096)));
    expect(status).toBe(BLK_STS_MEDIUM);
    expect(transport.sent.length).toBe(6);
    expect(machine.dmesg()).toContain('nvme0n1: I/O Cmd(0x2) @ LBA 128, 8 blocks, I/O Error (sct 0x2 / sc 0x81) ');
    expect(new Set(transport.sent.map(({ words }) => words[0] >>> 16)).size).toBe(6);
  });

  it('that pass succeed on the next try', async () => {
    const { machine, transport } = await bench();
    let failures = 2;
    transport.intercept = ({ qid }) => (qid > 0 && failures-- > 0 ? { status: NVME_SC_READ_ERROR } : undefined);
    expect(await machine.run(() => machine.io('nvme0n1', REQ_OP_READ, 0, new Uint8Array(512)))).toBe(BLK_STS_OK);
    expect(transport.sent.length).toBe(3);
  });

  it('with DNR are final', async () => {
    const { machine, transport } = await bench();
    transport.intercept = ({ qid }) => (qid > 0 ? { status: NVME_SC_READ_ERROR | NVME_STATUS_DNR } : undefined);
    await machine.run(() => machine.io('nvme0n1', REQ_OP_READ, 0, new Uint8Array(512)));
    expect(transport.sent.length).toBe(1);
    expect(machine.dmesg().some((line) => line.endsWith('(sct 0x2 / sc 0x81) DNR '))).toBe(true);
  });

  it('wait as long as the controller asks before the next try', async () => {
    const machine = createTestMachine();
    const transport = machine.transport({ namespaces: [{ nsid: 1, blocks: 64 }], identify: { crdt1: 5 } });
    await machine.run(async () => {
      await machine.core.nvmeCoreInit({});
      await transport.probe();
    });
    await machine.door.settle(1e9);
    let failures = 1;
    transport.intercept = ({ qid }) =>
      qid > 0 && failures-- > 0 ? { status: NVME_SC_READ_ERROR | (1 << 11) } : undefined;
    const took = await machine.run(async () => {
      const from = machine.kernel.ex.now();
      await machine.io('nvme0n1', REQ_OP_READ, 0, new Uint8Array(512));
      return machine.kernel.ex.now() - from;
    });
    expect(took).toBeGreaterThanOrEqual(500e6);
    expect(took).toBeLessThan(600e6);
  });

  it('map to the block layer’s statuses', () => {
    const rows: [number, number][] = [
      [0, BLK_STS_OK],
      [0x80, BLK_STS_TARGET],
      [0x4080, BLK_STS_TARGET],
      [0x281, BLK_STS_MEDIUM],
      [0x01, BLK_STS_NOTSUPP],
      [0x06, 10],
    ];
    for (const [status, block] of rows) expect(nvmeErrorStatus('all', status)).toBe(block);
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0x7fff }),
        (status) => nvmeErrorStatus('all', status) === nvmeErrorStatus('all', status & 0x7ff),
      ),
    );
  });
});

describe('a completion nobody waits for', () => {
  it('is not found, and logged', async () => {
    const { machine, transport } = await bench();
    const { ctrl } = transport;
    await machine.run(async () => {
      expect(machine.core.nvmeFindRq(ctrl, ctrl.tagset as NonNullable<typeof ctrl.tagset>, 0, 0x1005)).toBe(null);
    });
    expect(machine.dmesg()).toContain('could not locate request for tag 0x5');
  });

  it('of another use of the tag is refused', async () => {
    const { machine, transport } = await bench();
    const { ctrl } = transport;
    let held = -1;
    transport.intercept = ({ qid, words }) => {
      if (qid === 0) return undefined;
      held = words[0] >>> 16;
      const set = ctrl.tagset as NonNullable<typeof ctrl.tagset>;
      expect(machine.core.nvmeFindRq(ctrl, set, qid - 1, held ^ 0x1000)).toBe(null);
      return undefined;
    };
    await machine.run(() => machine.io('nvme0n1', REQ_OP_READ, 0, new Uint8Array(512)));
    expect(held).toBeGreaterThanOrEqual(0);
    expect(machine.dmesg().some((line) => /genctr mismatch \(got 0x\w expected 0x\w\)/.test(line))).toBe(true);
  });
});

describe('a reset with I/O in flight', () => {
  it('sends what was aborted again', async () => {
    const { machine, transport } = await bench();
    let hold = true;
    transport.intercept = ({ qid }) => (qid > 0 && hold ? 'hold' : undefined);
    const reading = machine.run(() => machine.io('nvme0n1', REQ_OP_READ, 0, new Uint8Array(4096)));
    const resetting = machine.run(async () => {
      hold = true;
      machine.core.nvmeResetCtrl(transport.ctrl);
      hold = false;
    });
    await resetting;
    expect(await reading).toBe(BLK_STS_OK);
    expect(transport.sent.filter(({ qid }) => qid > 0).length).toBe(2);
  });
});
