/**
 * For tests: contract suites any implementation of this package's ports must pass, and fixtures.
 *
 * @packageDocumentation
 */
export type { ContractMatchers, ContractRunner } from './testing/contract.js';
export {
  type DmaOpsFixture,
  dmaOpsContract,
  type PhysicalMemoryFixture,
  physicalMemoryContract,
} from './testing/memory-contracts.js';
export { createDirectFixture, createMirroredFixture, createTestTransport, TestDmaDevice } from './testing/test-dma.js';
