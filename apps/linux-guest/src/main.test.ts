/** The command with a guest behind it: scripts and their status, the trace, a fault plan, the shell. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { debianFiles, PackagesMissing } from './debian.js';
import { main } from './main.js';

let missing: string | null = null;
try {
  await debianFiles();
} catch (error) {
  if (!(error instanceof PackagesMissing)) throw error;
  missing = error.message;
  console.log(`skipped: ${missing}`);
}

const TIMEOUT_MS = 180_000;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'linux-guest-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

interface Run {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

/** Runs the command; `typed` is what the user types at once. */
async function run(argv: readonly string[], typed = ''): Promise<Run> {
  const out: string[] = [];
  const error: string[] = [];
  const code = await main(argv, {
    out: (text) => void out.push(text),
    error: (text) => void error.push(text),
    keyboard: (type) => {
      type(typed);
      return () => {};
    },
  });
  return { code, out: out.join(''), error: error.join('') };
}

describe.skipIf(missing !== null)('the guest', () => {
  it(
    'runs a script on our disk and ends with its status',
    async () => {
      const image = new Uint8Array(1 << 20).fill('x'.charCodeAt(0));
      const script = file('script.sh', 'head -c 3 /dev/nvme0n1; cat /sys/block/nvme0n1/size\nexit 3\n');
      const { code, out } = await run(['--script', script, '--image', file('disk.img', image)]);
      expect([code, out]).toEqual([3, 'xxx2048\n']);
    },
    TIMEOUT_MS,
  );

  it(
    'prints registers and commands, decoded, and what a fault plan does to them',
    async () => {
      const script = file('read.sh', 'dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null');
      const plan = file('plan.json', '{"faults":[{"kind":"media-error","command":"read","nth":1}]}');
      const { code, error } = await run(['--script', script, '--trace', '--fault', plan]);
      expect(code).toBe(0);
      expect(error).toMatch(/ms {2}W {2}CC +0x00460061 {2}IOCQES=4 IOSQES=6 CSS=6 EN\n/);
      expect(error).toMatch(/ms {2}R {2}CSTS +0x00000001 {2}RDY\n/);
      expect(error).toMatch(/ms {2}> {2}nvme_admin_identify nsid=0 cdw10=0x1 /);
      const ends = error.match(/< {2}nvme_cmd_read cid=\d+ dw0=0x0: .*/g)?.slice(-2) ?? [];
      expect(ends.map((line) => line.replace(/^.*: /, ''))).toEqual(['Unrecovered Read Error (0x281)', 'success']);
    },
    TIMEOUT_MS,
  );

  it(
    'gives a shell on its serial line, which powering off ends',
    async () => {
      const { code, out, error } = await run([], 'echo $((40 + 2)) sectors\npoweroff -f\n');
      expect(code).toBe(0);
      expect(out).toContain('42 sectors');
      expect(error).toContain('Linux with an NVMe 1.4 controller in its PCI slot. Ctrl-] or poweroff -f ends it.');
    },
    TIMEOUT_MS,
  );
});
