import { describe, it } from 'vitest';
import { createTestCore } from './fixtures/test-core.js';
import { DEVICE_CORE_CONTRACT } from './testing.js';

describe.each([false, true])('the contract of a driver core (strict: %s)', (strict) => {
  for (const { name, run } of DEVICE_CORE_CONTRACT) {
    it(name, async () => {
      const { core, door } = createTestCore({ strict });
      await door.call('contract', () => run(core));
    });
  }
});
