/** For tests: a driver with its disk in memory, bios, and the contract of I/O schedulers. */
export { allocBytes, makeBio, refill } from './testing/bios.js';
export { RamDriver, type RamDriverOptions, type SeenRequest } from './testing/ram-driver.js';
export { ioSchedulerContract, type SchedulerCase, type SchedulerFixture } from './testing/scheduler-contract.js';
export { schedulerFixture } from './testing/scheduler-fixture.js';
