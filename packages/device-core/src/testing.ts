/** For tests: the contract of a driver core, and a bus to try it with. */
export { type ContractCase, DEVICE_CORE_CONTRACT } from './testing/contract.js';
export { addTestDevice, TestBus, testDriver } from './testing/test-bus.js';
