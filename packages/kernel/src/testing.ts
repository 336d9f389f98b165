/**
 * For tests: contract suites any implementation of this package's ports must pass, and fixtures.
 *
 * @packageDocumentation
 */
export { type ClockFixture, clockContract } from './testing/clock-contract.js';
export type { ContractMatchers, ContractRunner } from './testing/contract.js';
export { type ExecutorFixture, executorContract } from './testing/executor-contract.js';
export { type ExecutorRequest, faultyExecutor, tracedExecutor } from './testing/executor-middleware.js';
export { faultyPort, type PortFailure, type PortFailures } from './testing/faulty-port.js';
export {
  type DmaOpsFixture,
  dmaOpsContract,
  type PhysicalMemoryFixture,
  physicalMemoryContract,
} from './testing/memory-contracts.js';
export { createPlainExecutor } from './testing/plain-executor.js';
export { createPlainMemory } from './testing/plain-memory.js';
export { createManualHost, JumpingClock, ManualClock } from './testing/test-clocks.js';
export { createDirectFixture, createMirroredFixture, createTestTransport, TestDmaDevice } from './testing/test-dma.js';
export { createTestKernel, testHostLoop } from './testing/test-kernel.js';
