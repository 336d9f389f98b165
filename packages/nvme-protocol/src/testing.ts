/**
 * For tests: identify structures as a device returned them, and what another decoder made of them.
 *
 * @packageDocumentation
 */
export { ID_CTRL_ROWS, ID_CTRL_VALUES } from './testing/id-ctrl.js';
export { ID_NS_LBAF, ID_NS_ROWS, ID_NS_VALUES } from './testing/id-ns.js';
export { bytesFromRows } from './testing/rows.js';
