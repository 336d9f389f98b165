/**
 * For tests: contract suites for a platform's ports, a fake host bridge, and functions to put behind it.
 *
 * @packageDocumentation
 */
export {
  type ConfigFixture,
  type ContractRunner,
  type MmioFixture,
  mmioRegionContract,
  pciConfigAccessContract,
} from './testing/contracts.js';
export {
  FakeHostBridge,
  type FakeHostBridgeOptions,
  type FakeSignal,
  type FakeSlot,
} from './testing/fake-host-bridge.js';
export { FakeIrqs, FakeVectorDomain } from './testing/fake-irqs.js';
export { idOf, LoggingDriver, NVME_CLASS } from './testing/logging-driver.js';
export { createPciStack, type PciStack } from './testing/pci-stack.js';
export { SRIOV_OFFSET, SriovFunction } from './testing/sriov-function.js';
export { nvmeLikeCapabilities, TestFunction, type TestFunctionOptions } from './testing/test-function.js';
