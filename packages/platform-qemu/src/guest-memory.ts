/** Guest RAM as the DMA API moves bytes to it and from it. */
import type { DmaMirrorTransport } from '@nvme-stack/kernel';
import { DMA_BASE, type QemuBoard, type QemuLink } from './ports.js';

export class GuestMemory implements DmaMirrorTransport {
  readonly baseAddr = DMA_BASE;
  readonly sizeBytes: number;
  private readonly link: QemuLink;

  constructor(qemu: QemuBoard) {
    this.link = qemu.link;
    this.sizeBytes = qemu.ramBytes - DMA_BASE;
  }

  read(addr: number, bytes: Uint8Array, offset: number, length: number): void {
    this.link.readMemory(addr, bytes, offset, length);
  }

  write(addr: number, bytes: Uint8Array, offset: number, length: number): void {
    this.link.writeMemory(addr, bytes, offset, length);
  }
}
