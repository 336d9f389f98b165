import { readdirSync } from 'node:fs';
import { createMachine } from '@nvme-stack/machine';
import { NvmeAdminOpcode, NvmeNvmOpcode, nvmeAdminOpcodeName, nvmeNvmOpcodeName } from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { CAPTURES, captured } from './sysfs-capture.js';

/** `getLogPage` as Linux writes it. */
function snake(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Names between quotation marks that a format can print. */
function printable(file: string, prefix: string): Set<string> {
  return new Set(
    [...captured(file).matchAll(/"(\w+)"/g)]
      .map(([, name]) => name as string)
      .filter((name) => name.startsWith(prefix)),
  );
}

describe('the format of nvme_setup_cmd', () => {
  it.each([
    ['nvme_admin_', NvmeAdminOpcode, nvmeAdminOpcodeName],
    ['nvme_cmd_', NvmeNvmOpcode, nvmeNvmOpcodeName],
  ] as const)('names the opcodes %s… that are named here, and no other', (prefix, opcodes, nameOf) => {
    const linux = printable('tracefmt.nvme_setup_cmd', prefix);
    expect(linux.size).toBeGreaterThan(10);
    const ours = new Set<string>();
    for (const [key, opcode] of Object.entries(opcodes)) {
      const name = `${prefix}${snake(key)}`;
      expect(nameOf(opcode)).toBe(linux.has(name) ? name : `0x${opcode.toString(16)}`);
      if (linux.has(name)) ours.add(name);
    }
    expect(ours).toEqual(linux);
  });
});

describe('the fields of block events', () => {
  const formats = readdirSync(CAPTURES).filter((name) => name.startsWith('tracefmt.block_'));

  it('are those of Linux, but for texts made from them', async () => {
    const machine = await createMachine({ nvme: [{ mdts: 1, namespaces: [{ sizeMiB: 8 }] }] });
    await machine.modprobe('nvme');
    await machine.disk('nvme0n1').read(0, 64 * 1024);
    await machine.sysfs.write('/sys/block/nvme0n1/queue/scheduler', 'mq-deadline');
    await machine.disk('nvme0n1').read(0, 4096);
    expect(formats.length).toBe(8);
    let compared = 0;
    for (const format of formats) {
      const name = format.slice('tracefmt.'.length);
      const fields = [...captured(format).matchAll(/field:.*?(\w+)(?:\[\d*\])?;/g)].map(([, field]) => field as string);
      const own = fields.filter((field) => !field.startsWith('common_') && !['rwbs', 'comm', 'cmd'].includes(field));
      const entry = machine.trace.entries.find(({ kind, symbol }) => kind === 'block' && symbol === name);
      if (entry === undefined) continue;
      compared++;
      // Whether a plug was flushed by its owner is not in the text.
      expect([name, entry.fields.filter((field) => field !== 'explicit')]).toEqual([name, own]);
    }
    expect(compared).toBe(formats.length);
  });
});
