/**
 * Starting QEMU, in Node on Linux.
 *
 * @packageDocumentation
 */
export { QemuError } from './node/line-channel.js';
export {
  MEDIUM,
  type QemuController,
  type QemuNamespace,
  type QemuOptions,
  type QemuProperties,
} from './node/options.js';
export { type Qemu, qemuMissing, startQemu } from './node/start.js';
