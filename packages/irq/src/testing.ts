/**
 * For tests: a vector domain, devices, middleware, and the contract any interrupt subsystem must keep.
 *
 * @packageDocumentation
 */
export { deviceEvent, FakeLevelLine, FakeMsiDevice } from './testing/fake-devices.js';
export { FakeIrqDomain } from './testing/fake-irq-domain.js';
export { type IrqsContractRunner, type IrqsFixture, irqsContract } from './testing/irqs-contract.js';
export { faultyIrqDomain, observedIrqDomain } from './testing/middleware.js';
