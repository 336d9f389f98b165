// Test support for controllers: the block store contract and a driver that speaks registers.
// Kernel counterpart: none.
export * from './testing/block-store-contract.js';
export * from './testing/register-driver.js';
