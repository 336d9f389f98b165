import { createScatterList, type ScatterList, sgAppend } from '@nvme-stack/kernel';
import {
  NVME_SGL_FMT_DATA_DESC,
  NVME_SGL_FMT_LAST_SEG_DESC,
  NvmeSglDesc,
  SglIdentifier,
} from '@nvme-stack/nvme-protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildPrps, PRP_OK, PrpPair } from './prp.js';
import { buildSgl, SGES_PER_PAGE, writeSglSimple } from './sgl.js';

const LIST_BUS = 0x7000_0000;
const PAGE = 4096;
const PSDT_SGL = 0x40;

interface Piece {
  readonly address: number;
  readonly length: number;
}

function listOf(pieces: readonly Piece[]): ScatterList {
  const sg = createScatterList(pieces.length);
  for (const { address, length } of pieces) sgAppend(sg, address, length);
  sg.dmaAddr.set(sg.physAddr);
  sg.dmaLengthBytes.set(sg.lengthBytes);
  sg.mappedNents = sg.nents;
  return sg;
}

/** A source that remembers what was asked for. */
class Blocks {
  readonly taken: { small: boolean; busAddr: number; u32: Uint32Array }[] = [];
  empty = false;

  take(small: boolean) {
    if (this.empty) return null;
    const block = { small, busAddr: LIST_BUS + this.taken.length * PAGE, u32: new Uint32Array(small ? 64 : 1024) };
    this.taken.push(block);
    return block;
  }
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

const typeOf = (identifier: number): number => SglIdentifier.TYPE.get(identifier);

/** The pieces that a command and its segment name. */
function namedBySgl(cmd: Uint32Array, blocks: Blocks): Piece[] {
  const first = NvmeSglDesc.decode(bytesOf(cmd), 24);
  if (typeOf(first.type) === NVME_SGL_FMT_DATA_DESC) return [{ address: Number(first.addr), length: first.length }];
  expect(typeOf(first.type)).toBe(NVME_SGL_FMT_LAST_SEG_DESC);
  const block = blocks.taken[0] as Blocks['taken'][number];
  expect(Number(first.addr)).toBe(block.busAddr);
  return Array.from({ length: first.length / 16 }, (_, i) => {
    const { addr, length, type } = NvmeSglDesc.decode(bytesOf(block.u32), i * 16);
    expect(typeOf(type)).toBe(NVME_SGL_FMT_DATA_DESC);
    return { address: Number(addr), length };
  });
}

/** Every page's worth of memory, in order. */
function pagesOf(pieces: readonly Piece[]): number[] {
  return pieces.flatMap(({ address, length }) => Array.from({ length: length / PAGE }, (_, i) => address + i * PAGE));
}

describe('an SGL', () => {
  it('of one piece is a data block in the command', () => {
    const cmd = new Uint32Array(16);
    writeSglSimple(cmd, 0x12_3456_7000, 65536);
    expect((cmd[0] as number) >>> 8).toBe(PSDT_SGL);
    expect(namedBySgl(cmd, new Blocks())).toEqual([{ address: 0x12_3456_7000, length: 65536 }]);
  });

  it.each([
    [2, true],
    [16, true],
    [17, false],
    [128, false],
    [SGES_PER_PAGE, false],
  ])('of %i pieces is a last segment, from the small pool: %s', (count, small) => {
    const pieces = Array.from({ length: count }, (_, i) => ({ address: 0x10_0000 + i * 0x1_0000, length: 4096 }));
    const blocks = new Blocks();
    const cmd = new Uint32Array(16);
    expect(buildSgl(cmd, listOf(pieces), blocks)).toBe(true);
    expect(blocks.taken.map((block) => block.small)).toEqual([small]);
    expect(namedBySgl(cmd, blocks)).toEqual(pieces);
  });

  it('is not built without memory for its segment, and the command is left as it was', () => {
    const blocks = new Blocks();
    blocks.empty = true;
    const cmd = new Uint32Array(16).fill(7);
    const sg = listOf([
      { address: 0, length: PAGE },
      { address: 0x10_0000, length: PAGE },
    ]);
    expect(buildSgl(cmd, sg, blocks)).toBe(false);
    expect([...cmd]).toEqual(new Array(16).fill(7));
  });

  it('names the same memory in the same order as PRPs do', () => {
    const pieces = fc.array(
      fc.record({ page: fc.integer({ min: 1, max: 1 << 22 }), pages: fc.integer({ min: 1, max: 40 }) }),
      { minLength: 1, maxLength: 100 },
    );
    fc.assert(
      fc.property(pieces, (list) => {
        const transfer = list.map(({ page, pages }) => ({ address: page * PAGE, length: pages * PAGE }));
        const total = transfer.reduce((sum, { length }) => sum + length, 0);
        const blocks = new Blocks();
        const cmd = new Uint32Array(16);
        expect(buildSgl(cmd, listOf(transfer), blocks)).toBe(true);
        const prpBlocks = new Blocks();
        const pair = new PrpPair();
        expect(buildPrps(listOf(transfer), total, prpBlocks, pair)).toBe(PRP_OK);
        expect(pagesOf(namedBySgl(cmd, blocks))).toEqual(pagesOfPrps(pair, prpBlocks, total / PAGE));
      }),
      { numRuns: 60 },
    );
  });
});

function pagesOfPrps(pair: PrpPair, blocks: Blocks, count: number): number[] {
  if (count === 1) return [pair.prp1];
  if (count === 2) return [pair.prp1, pair.prp2];
  const pages = [pair.prp1];
  let block = 0;
  let slot = 0;
  while (pages.length < count) {
    const { u32 } = blocks.taken[block] as Blocks['taken'][number];
    if (slot === 511 && count - pages.length > 1) {
      block++;
      slot = 0;
      continue;
    }
    pages.push((u32[2 * slot] as number) + (u32[2 * slot + 1] as number) * 2 ** 32);
    slot++;
  }
  return pages;
}
