// Test support for controllers: the block store contract.
// Kernel counterpart: none.
export * from './testing/block-store-contract.js';
