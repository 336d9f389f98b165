import { readFileSync } from 'node:fs';
import { FAULT_FIELDS, FAULT_KINDS } from '@nvme-stack/nvme-controller';
import { expect, it } from 'vitest';

it('docs/faults.md describes every kind of fault and every field', () => {
  const text = readFileSync(new URL('../../../docs/faults.md', import.meta.url), 'utf8');
  for (const [kind, { description, on }] of Object.entries(FAULT_KINDS)) {
    expect(text).toContain(`| \`${kind}\` | ${on.join(', ')} |`);
    expect(text).toContain(description);
  }
  for (const [name, { description }] of Object.entries(FAULT_FIELDS)) {
    expect(text).toContain(`| \`${name}\` | ${description} |`);
  }
});
