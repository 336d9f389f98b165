import { createMachine, type Machine, type TraceEntry } from '@nvme-stack/machine';
import type { NvmeController } from '@nvme-stack/nvme-controller/ports';
import { NVME_IOCTL_ADMIN_CMD, NVME_IOCTL_IO_CMD, type NvmePassthruCmd } from '@nvme-stack/nvme-core/ports';
import { describe, expect, it } from 'vitest';
import { NVME_BDF } from '../features/bench.js';
import { captured } from './sysfs-capture.js';

const KIB = 1024;

/** `name: text` of the captured events of a subsystem. */
function capturedEvents(prefix: string): string[] {
  const pattern = new RegExp(`: (${prefix}\\w+: .*)$`);
  return captured('trace.events')
    .split('\n')
    .flatMap((line) => pattern.exec(line)?.[1] ?? []);
}

/** Which queue and slot a command takes, and how often the slot was used, is chance. */
function withoutSlots(text: string): string {
  return text.replace(/qid=[1-9]\d*/, 'qid=N').replace(/(cmdid|head|tail)=\d+/g, '$1=N');
}

/** Events of the kernel, not of the controller or the board. */
function kernelEvents(entries: readonly TraceEntry[], names: RegExp): TraceEntry[] {
  return entries.filter((entry) => entry.kind !== 'function' && names.test(entry.symbol));
}

async function traced(profile: '6.1' | '6.12', work: (machine: Machine) => Promise<void>): Promise<TraceEntry[]> {
  const machine = await createMachine({ profile, cpus: 2, nvme: [{ namespaces: [{ sizeMiB: 64 }] }] });
  await machine.modprobe('nvme');
  await machine.settle();
  const before = machine.trace.entries.length;
  await work(machine);
  return machine.trace.entries.slice(before);
}

/** What the captured session did with dd and nvme-cli. */
async function captureSession(machine: Machine): Promise<void> {
  const disk = machine.disk('nvme0n1');
  for (let i = 0; i < 4; i++) await disk.write(i * 4 * KIB, new Uint8Array(4 * KIB));
  await disk.read(0, 128 * KIB);
  const io = (command: NvmePassthruCmd) => machine.ioctl('/dev/nvme0n1', NVME_IOCTL_IO_CMD, { nsid: 1, ...command });
  const identify = (cdw10: number, nsid: number) =>
    machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 6, nsid, cdw10, data: new Uint8Array(4096) });
  await io({ opcode: 0 });
  const range = new Uint8Array(16);
  range[4] = 8;
  await io({ opcode: 9, cdw11: 4, data: range });
  await identify(0, 1);
  await identify(5, 1);
  await io({ opcode: 8, cdw12: 7 });
  await identify(1, 0);
  await identify(0, 1);
  expect(await io({ opcode: 2, cdw10: 0xffffffff, data: new Uint8Array(512) })).toBe(0x4080);
}

describe('trace events', () => {
  it.each(['6.1', '6.12'] as const)('of nvme are printed as Linux prints them (%s)', async (profile) => {
    const entries = await traced(profile, captureSession);
    const ours = kernelEvents(entries, /^nvme_/).map(({ symbol, text }) => withoutSlots(`${symbol}: ${text}`));
    const linux = capturedEvents('nvme_').map(withoutSlots);
    expect(linux.length).toBeGreaterThan(30);
    expect(ours).toEqual(linux);
  });

  it('of a read come in the order Linux has them, with its block numbers', async () => {
    const entries = await traced('6.1', async (machine) => void (await machine.disk('nvme0n1').read(0, 128 * KIB)));
    const ours = kernelEvents(entries, /^(block|nvme|irq_handler)_/);
    const lines = captured('trace.events').split('\n');
    const first = lines.findIndex((line) => line.includes('block_bio_queue: 259,0 RS 0 + 256'));
    const last = lines.findIndex((line, i) => i > first && line.includes('irq_handler_exit'));
    const linux = lines.slice(first, last + 1).map((line) => /\d: (\w+):/.exec(line)?.[1]);
    expect(ours.map(({ symbol }) => symbol)).toEqual(linux);
    const issue = ours.find(({ symbol }) => symbol === 'block_rq_issue');
    // 259,0 RS 131072 () 0 + 256
    expect([issue?.text, ...(issue?.args ?? [])]).toEqual(['RS', 259 * 2 ** 20, 0, 256, 131072]);
  });

  it('of an asynchronous event name it', async () => {
    const entries = await traced('6.1', async (machine) => {
      const controller = machine.device(NVME_BDF).function as NvmeController;
      await machine.task('detach', async () => controller.setNamespaceActive(1, false));
      await machine.settle();
    });
    expect(kernelEvents(entries, /^nvme_/).map(({ symbol, text }) => `${symbol}: ${text}`)).toContain(
      'nvme_async_event: nvme0: NVME_AEN=0x040002 [NVME_AER_NOTICE]',
    );
  });
});
