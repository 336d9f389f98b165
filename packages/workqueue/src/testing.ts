/**
 * For tests: the contract any workqueue subsystem must keep.
 *
 * @packageDocumentation
 */
export {
  type WorkqueuesContractRunner,
  type WorkqueuesFixture,
  workqueuesContract,
} from './testing/workqueues-contract.js';
