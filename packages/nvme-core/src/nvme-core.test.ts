import { describe, expect, it } from 'vitest';
import { createTestMachine } from './testing/test-machine.js';

describe('probe', () => {
  it('sends the admin commands Linux 6.12 sends, in its order', async () => {
    const machine = createTestMachine();
    const transport = machine.transport({ namespaces: [{ nsid: 1, blocks: 2048 }] });
    await machine.run(async () => {
      await machine.core.nvmeCoreInit({});
      await transport.probe();
    });
    expect(transport.story()).toEqual([
      'identify 1',
      'log 5',
      'set 14',
      'set 22',
      'log 2',
      'set 7',
      'set 11',
      'identify 6',
      'identify 2',
      'identify 3',
      'identify 0',
      'identify 0',
      'identify 5',
    ]);
    expect(machine.tree('nvme_scan_work')).toEqual([]);
  });
});
