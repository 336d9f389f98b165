// The README's example runs, on the real emulator.
import { createNvmeController } from '@nvme-stack/nvme-controller';
import { V86 } from 'v86';
import { describe, expect, it } from 'vitest';
import { attachNvme } from './index.js';

const WASM_PATH = 'packages/v86-nvme/node_modules/v86/build/v86.wasm';

describe('the README example', () => {
  it('runs as written', async () => {
    const emulator = new V86({ wasm_path: WASM_PATH, acpi: true, autostart: false });
    const slot = await new Promise<number>((resolve) => {
      emulator.add_listener('emulator-loaded', () => {
        const controller = createNvmeController({ namespaces: [{ sizeBytes: 64 * 1024 * 1024 }] });
        const { slot } = attachNvme(emulator, controller);
        resolve(slot);
      });
    });
    expect(slot).toBe(3);
    await emulator.destroy();
  });
});
