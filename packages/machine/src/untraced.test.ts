import { createBlkMq } from '@nvme-stack/blk-mq';
import {
  type Bio,
  type BlkMq,
  REQ_FUA,
  REQ_OP_DISCARD,
  REQ_OP_FLUSH,
  REQ_OP_READ,
  REQ_OP_WRITE,
  REQ_PREFLUSH,
  REQ_RAHEAD,
  type Request,
} from '@nvme-stack/blk-mq/ports';
import { sleepNs } from '@nvme-stack/kernel';
import { FAULT_STATUS, type FaultPlan } from '@nvme-stack/nvme-controller/ports';
import type { NvmePdu } from '@nvme-stack/nvme-core/ports';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMachine } from './index.js';

/** Invalid Field in Command, not to be retried; and Internal Error, which is. */
const REFUSED = 0x4002;
const RETRIED = 0x0006;
const OPS = [
  REQ_OP_READ,
  REQ_OP_READ,
  REQ_OP_READ | REQ_RAHEAD,
  REQ_OP_WRITE,
  REQ_OP_WRITE,
  REQ_OP_WRITE | REQ_FUA,
  REQ_OP_WRITE | REQ_PREFLUSH,
  REQ_OP_DISCARD,
  REQ_OP_FLUSH,
];

const BUFFER_BYTES = 64 * 4096;

/** Bios submitted together, under one plug or none, by a CPU. */
const batch = fc.record({
  cpu: fc.nat(2),
  plugged: fc.boolean(),
  pauseNs: fc.constantFrom(0, 700, 200_000),
  bios: fc.array(
    fc.record({
      op: fc.constantFrom(...OPS),
      block: fc.nat(200),
      pages: fc.constantFrom(1, 1, 1, 1, 2, 3, 40),
      offset: fc.constantFrom(0, 0, 512, 2048),
      scattered: fc.boolean(),
    }),
    { maxLength: 24 },
  ),
});
type Batch = typeof batch extends fc.Arbitrary<infer T> ? T : never;

const setup = fc.record({
  dbbuf: fc.boolean(),
  logicalBlockSize: fc.constantFrom(512 as const, 4096 as const),
  metadata: fc.constantFrom(
    {},
    {},
    { metadataBytes: 8 as const, protectionType: 1 as const },
    { metadataBytes: 16 as const },
  ),
  scheduler: fc.constantFrom('none', 'mq-deadline'),
  ioQueuePairs: fc.constantFrom(1, 2),
  queueDepth: fc.constantFrom(3, 8, 64),
  iostats: fc.constantFrom('0', '1'),
  noMerges: fc.constantFrom('0', '2'),
  failEach: fc.constantFrom(0, 5, 7),
});
type Setup = typeof setup extends fc.Arbitrary<infer T> ? T : never;

function checksum(bytes: Uint8Array): number {
  let sum = 0x811c9dc5;
  for (const byte of bytes) sum = Math.imul(sum ^ byte, 0x01000193);
  return sum;
}

/** Notes every command of 16 words as it is when its request starts. */
function startsShown(blkMq: BlkMq, commands: string[]): BlkMq {
  const show = (rq: Request): void => {
    commands.push(`start ${(rq.pdu as NvmePdu).nvme.cmd.join(' ')}`);
  };
  return {
    ...blkMq,
    blkMqStartRequest: (rq) => {
      show(rq);
      blkMq.blkMqStartRequest(rq);
    },
    blkMqStartRequests: (list) => {
      for (let rq: Request | null = list; rq !== null; rq = rq.next) show(rq);
      blkMq.blkMqStartRequests(list);
    },
  };
}

/** Plays the batches and returns everything that can be seen of them. */
async function play(trace: 'off' | 'full', how: Setup, batches: readonly Batch[]) {
  const commands: string[] = [];
  let playing = true;
  let fetched = 0;
  const faultPlan: FaultPlan = {
    command: (sqid, cid, opcode, nsid, slba) => {
      if (sqid === 0 || !playing) return null;
      commands.push(`${sqid}: ${cid.toString(16)} ${opcode} ${nsid} ${slba}`);
      return how.failEach > 0 && ++fetched % how.failEach === 0
        ? { kind: FAULT_STATUS, status: how.failEach === 5 ? REFUSED : RETRIED }
        : null;
    },
  };
  const machine = await createMachine(
    {
      cpus: 3,
      memoryMiB: 32,
      trace,
      nvme: [
        {
          dbbuf: how.dbbuf,
          maxIoQueuePairs: how.ioQueuePairs,
          namespaces: [{ sizeMiB: 4, logicalBlockSize: how.logicalBlockSize, ...how.metadata }],
        },
      ],
    },
    { faultPlans: [faultPlan], parts: { blkMq: (deps) => startsShown(createBlkMq(deps), commands) } },
  );
  await machine.modprobe('nvme', { io_queue_depth: how.queueDepth });
  const queue = '/sys/block/nvme0n1/queue';
  await machine.sysfs.write(`${queue}/scheduler`, how.scheduler);
  await machine.sysfs.write(`${queue}/iostats`, how.iostats);
  await machine.sysfs.write(`${queue}/nomerges`, how.noMerges);
  const ends: string[] = [];
  const { kernel, blkMq } = machine.subsystems;
  const buffer = machine.allocBuffer(BUFFER_BYTES);
  const contiguous = machine.allocBuffer(BUFFER_BYTES, { pieceBytes: [BUFFER_BYTES] });
  const bytes = Uint8Array.from({ length: BUFFER_BYTES }, (_, i) => (i * 7 + (i >>> 9)) & 0xff);
  buffer.write(0, bytes);
  contiguous.write(0, bytes);
  let submitted = 0;

  const makeBio = ({ op, block, pages, offset, scattered }: Batch['bios'][number]): Bio => {
    const bio = blkMq.allocBio(pages + 1);
    const id = submitted++;
    bio.disk = blkMq.lookup('nvme0n1')?.disk ?? null;
    bio.opf = op;
    bio.endIo = (ended) => ends.push(`${id}: ${ended.status} at ${kernel.ex.now()}`);
    if (op === REQ_OP_FLUSH) return bio;
    bio.sector = block * 8;
    bio.sizeBytes = pages * 4096;
    if (op === REQ_OP_DISCARD) return bio;
    const at = how.logicalBlockSize === 4096 ? 0 : offset;
    const first = id % 16;
    if (scattered) {
      bio.vcnt = pages;
      for (let i = 0; i < pages; i++) {
        bio.vecAddr[i] = buffer.pages[first + i] as number;
        bio.vecLengthBytes[i] = 4096;
      }
    } else {
      bio.vcnt = 1;
      bio.vecAddr[0] = (contiguous.pages[0] as number) + first * 4096 + at;
      bio.vecLengthBytes[0] = pages * 4096;
    }
    return bio;
  };

  for (const { cpu, plugged, pauseNs, bios } of batches) {
    await machine.task(
      'submitter',
      async () => {
        const plug = plugged ? blkMq.blkStartPlug() : null;
        for (const bio of bios) blkMq.submitBio(makeBio(bio));
        if (plug !== null) blkMq.blkFinishPlug(plug);
        if (pauseNs > 0) await sleepNs(kernel, pauseNs);
      },
      cpu,
    );
  }
  await machine.run(1e9);
  expect(ends).toHaveLength(submitted);
  playing = false;
  const seen = {
    ends,
    commands,
    diskstats: machine.procfs.read('/proc/diskstats'),
    interrupts: machine.procfs.read('/proc/interrupts'),
    queues: machine.queues('nvme0'),
    dmesg: machine.dmesg(),
    buffer: checksum(buffer.read(0, BUFFER_BYTES)),
    contiguous: checksum(contiguous.read(0, BUFFER_BYTES)),
    disk: checksum(await machine.disk('nvme0n1').read(0, 1 << 20)),
    nowNs: machine.nowNs,
  };
  buffer.free();
  contiguous.free();
  await machine.rmmod('nvme');
  await machine.rmmod('nvme_core');
  expect(machine.leaks()).toEqual([]);
  machine.close();
  return seen;
}

describe('a machine', () => {
  it('does the same whether it is traced or not', async () => {
    await fc.assert(
      fc.asyncProperty(setup, fc.array(batch, { minLength: 1, maxLength: 6 }), async (how, batches) => {
        expect(await play('off', how, batches)).toEqual(await play('full', how, batches));
      }),
      { numRuns: 25 },
    );
  }, 120_000);
});
