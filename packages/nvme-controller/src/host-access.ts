// Memory by bus address: the host's, or the controller's own where the address lies in its memory buffer.
// Kernel counterpart: none. Spec: [NVMe] 2.0 §8.5: such addresses are never put on the bus.
import type { ControllerState } from './controller-state.js';

/** Memory at busAddr to (bytes, offset); 0, or why not. Device context. */
export function readMemory(
  controller: ControllerState,
  busAddr: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
): number {
  const { cmb } = controller;
  if (cmb !== null) {
    const at = cmb.offsetOf(busAddr, length);
    if (at >= 0) {
      bytes.set(cmb.bytes.subarray(at, at + length), offset);
      return 0;
    }
  }
  return controller.endpoint.dmaRead(busAddr, bytes, offset, length);
}

/** (bytes, offset) to memory at busAddr; 0, or why not. Device context. */
export function writeMemory(
  controller: ControllerState,
  busAddr: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
): number {
  const { cmb } = controller;
  if (cmb !== null) {
    const at = cmb.offsetOf(busAddr, length);
    if (at >= 0) {
      cmb.bytes.set(bytes.subarray(offset, offset + length), at);
      return 0;
    }
  }
  return controller.endpoint.dmaWrite(busAddr, bytes, offset, length);
}
