/**
 * A test function that has virtual functions.
 * Kernel counterpart: none. Spec: [SR-IOV] 1.1 §3.3.
 */
import { PCI_EXP_TYPE_RC_END } from '@nvme-stack/pci-function';
import { nvmeLikeCapabilities, TestFunction } from './test-function.js';

/** Where its SR-IOV capability stands in configuration space. */
export const SRIOV_OFFSET = 0x100;

/** A physical function with the SR-IOV capability: device 0011h, first at the next number, one 16 KiB BAR each. */
export class SriovFunction extends TestFunction {
  /** `stride`: routing identifiers from one virtual function to the next. */
  constructor(totalVfs: number, stride: number) {
    super({
      capabilities: [
        ...nvmeLikeCapabilities().filter(({ kind }) => kind === 'msix'),
        { kind: 'express', offset: 0x80, type: PCI_EXP_TYPE_RC_END },
      ],
    });
    const { config } = this.endpoint;
    config.set(SRIOV_OFFSET, 0x00010010, 4);
    config.set(SRIOV_OFFSET + 0x0e, totalVfs, 2);
    config.set(SRIOV_OFFSET + 0x14, 1, 2);
    config.set(SRIOV_OFFSET + 0x16, stride, 2);
    config.set(SRIOV_OFFSET + 0x1a, 0x0011, 2);
    config.allowWrite(SRIOV_OFFSET + 0x08, 0x9, 2);
    config.allowWrite(SRIOV_OFFSET + 0x10, 0xffff, 2);
    config.set(SRIOV_OFFSET + 0x24, 4, 4);
    config.allowWrite(SRIOV_OFFSET + 0x24, 0xffffc000, 4);
    config.allowWrite(SRIOV_OFFSET + 0x28, 0xffffffff, 4);
  }
}
