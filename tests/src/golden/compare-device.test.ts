import { readFileSync } from 'node:fs';
import type { TraceEntry } from '@nvme-stack/kernel/ports';
import { describe, expect, it } from 'vitest';
import { readCapture } from './capture-file.js';
import { compareDevice } from './compare-device.js';
import { capturedRecords, ourRecords } from './device-record.js';

const NAMES = ['mmio-cmd-6.12.111.txt', 'mmio-cmd-6.1.176.txt'];
const read = (name: string) =>
  readCapture(name, readFileSync(new URL(`../../golden/${name}`, import.meta.url), 'utf8'));

/** What our trace would hold had our run been the captured one; lines may be changed first. */
function run(name: string, change: (lines: string[]) => string[] = (lines) => lines): TraceEntry[] {
  const lines = change(read(name).lines.map((line) => line.text));
  const records = capturedRecords(lines.map((text, i) => ({ number: i + 1, text })));
  const base = {
    durationNs: 0,
    cpu: -1,
    task: '',
    pid: 0,
    context: 'device',
    depth: 0,
    kind: 'nvme',
    text: '',
  } as const;
  return records.map(({ name: event, fields }, seq) => ({
    ...base,
    seq,
    startNs: seq,
    symbol: `pci_nvme_${event}`,
    fields: [...fields.keys()],
    args: [...fields.values()],
  }));
}

const findings = (entries: TraceEntry[]) =>
  compareDevice(read(NAMES[0]), ourRecords(entries)).findings.map(({ kind, line, text }) => `${kind} ${line} ${text}`);

const replace = (from: string | RegExp, to: string) => (lines: string[]) => {
  const at = lines.findIndex((line) => line.search(from) >= 0);
  return lines.with(at, lines[at].replace(from, to));
};

describe('compareDevice', () => {
  it.each(NAMES)('finds nothing in a run that happened as %s', (name) => {
    expect(compareDevice(read(name), ourRecords(run(name))).findings).toEqual([]);
  });

  it('says what it compared', () => {
    expect(compareDevice(read(NAMES[0]), []).notes).toEqual([
      '45 register accesses, 58 admin commands, 2 event requests, 5 I/O commands, 60 admin tails, 58 admin completions, 5 I/O tails, 5 I/O completions compared',
    ]);
    expect(findings([]).every((finding) => finding.startsWith('missing'))).toBe(true);
  });

  it('does not compare addresses, command identifiers, I/O queues and how completions are batched', () => {
    const entries = run(NAMES[0], (lines) =>
      lines
        .map((line) => line.replace(/(addr 0x28 data 0x)\w+/, '$1abc000'))
        .map((line) => line.replace(/\bcid (\d+)/, (_, cid: string) => `cid ${Number(cid) + 7}`))
        .map((line) => line.replace(/\b([sc])qid 2\b/g, '$1qid 4'))
        .flatMap((line, i) =>
          line.endsWith('cqid 0 new_head 26') && i < 400
            ? [23, 24, 25, 26].map((head) => line.replace('26', `${head}`))
            : [line],
        ),
    );
    expect(findings(entries)).toEqual([]);
  });

  it('counts a poll of CSTS once', () => {
    const poll = 'pci_nvme_mmio_read addr 0x1c size 4';
    expect(
      findings(run(NAMES[0], (lines) => lines.flatMap((line) => (line === poll ? [line, line, line] : [line])))),
    ).toEqual([]);
  });

  it('reports any other register that is read twice', () => {
    const vs = 'pci_nvme_mmio_read addr 0x8 size 4';
    const twice = (lines: string[]) => lines.toSpliced(lines.indexOf(vs), 0, vs);
    expect(findings(run(NAMES[0], twice))).toEqual([
      expect.stringMatching(/^different \d+ too much after this line: read of register 0x08$/),
    ]);
  });

  it('reports a register value', () => {
    expect(findings(run(NAMES[0], replace('addr 0x14 data 0x460061', 'addr 0x14 data 0x460001')))).toEqual([
      'different 27 write of register 0x14: value is 0x460001, not 0x460061',
    ]);
  });

  it('reports a register access that is missing, out of order or too much', () => {
    const aqa = (line: string) => line.includes('mmio_write addr 0x24');
    expect(findings(run(NAMES[0], (lines) => lines.toSpliced(lines.findIndex(aqa), 1)))).toEqual([
      'missing 11 write of register 0x24, value 0x1f001f',
    ]);
    expect(
      findings(
        run(NAMES[0], (lines) => {
          const [line] = lines.splice(lines.findIndex(aqa), 1);
          return lines.toSpliced(lines.findIndex((each) => each.includes('mmio_write addr 0x28')) + 1, 0, line);
        }),
      ),
    ).toHaveLength(1);
    const intms = 'pci_nvme_mmio_write addr 0xc data 0x1 size 4';
    expect(findings(run(NAMES[0], (lines) => lines.toSpliced(lines.findIndex(aqa), 0, intms)))).toEqual([
      'different 10 too much after this line: write of register 0x0c, value 1',
    ]);
  });

  it.each([
    [
      'a feature value',
      /fid 0x7 save 0x0 cdw11 0x30003/,
      'fid 0x7 save 0x0 cdw11 0x10001',
      /Set Features .*cdw11 is 0x10001, not 0x30003/,
    ],
    ['a feature', 'fid 0x16 save', 'fid 0x10 save', /Set Features .*FID is 0x10, not 0x16/],
    ['a log page', 'lid 0x5', 'lid 0x3', /Get Log Page .*LID is 3, not 5/],
    ['an Identify structure', 'cns 0x6', 'cns 0x7', /Identify .*CNS is 7, not 6/],
    ['a vector', 'vector=3', 'vector=2', /Create I\/O Completion Queue .*vector is 2, not 3/],
    [
      'a queue size',
      'qsize=1023, qflags=1',
      'qsize=255, qflags=1',
      /Create I\/O Submission Queue .*size is 0xff, not 0x3ff/,
    ],
    ['a block address', 'lba 0x28', 'lba 0x30', /Read .*lba is 0x30, not 0x28/],
    ['a status', 'dw0 0x0 dw1 0x0 status 0x0', 'dw0 0x0 dw1 0x0 status 0x4002', /Identify .*status is 0x4002, not 0/],
    ['a tail', 'sqid 0 new_tail 5', 'sqid 0 new_tail 6', /tail of the admin queue: value is 6, not 5/],
  ])('reports %s', (_, from, to, text) => {
    const found = findings(run(NAMES[0], replace(from, to)));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(text);
    expect(found[0]).toMatch(/^different \d+ /);
  });

  it('reports commands that changed places', () => {
    const swap = (lines: string[]) =>
      lines.map((line) =>
        line.replace(/lid 0x[25]|del_sq .*sqid=[34]/, (text) => {
          if (text.startsWith('lid')) return text;
          return text.endsWith('3') ? text.replace('3', '4') : text.replace('4', '3');
        }),
      );
    const found = findings(run(NAMES[0], swap));
    expect(found).toHaveLength(2);
    expect(found[0]).toMatch(/^inverted \d+ Delete I\/O Submission Queue \(0x00\), queue [34]/);
  });

  it('lets an event request move within the scan, but not be left out', () => {
    const isAer = (line: string) => /ASYNC_EV_REQ|pci_nvme_aer/.test(line);
    const move = (lines: string[]) => {
      const aer = lines.filter(isAer).slice(0, 2);
      const rest = lines.toSpliced(lines.findIndex(isAer), 2);
      const scan = rest.findIndex((line) => line.includes('cns 0x2'));
      return rest.toSpliced(
        rest.findIndex((line, i) => i > scan && line.includes('mmio_write')),
        0,
        ...aer,
      );
    };
    expect(findings(run(NAMES[0], move))).toEqual([]);
    expect(findings(run(NAMES[0], (lines) => lines.toSpliced(lines.findIndex(isAer), 2)))).toEqual([
      expect.stringMatching(/^missing \d+ Asynchronous Event Request \(0x0c\), start of the controller 1$/),
    ]);
  });
});
