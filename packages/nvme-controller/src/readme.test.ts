// The README's example runs.
import { describe, expect, it } from 'vitest';
import { createNvmeController } from './index.js';
import { RegisterDriver } from './testing.js';

describe('the README example', () => {
  it('runs as written', () => {
    const controller = createNvmeController({ serial: 'DEMO0001', namespaces: [{ sizeBytes: 64 * 1024 * 1024 }] });
    const driver = new RegisterDriver(controller);
    expect(driver.enable()).toBe(1);
    expect(driver.admin({ opcode: 0x06, cdw10: 1, prp1: 0x40000 }).status).toBe(0);
  });
});
