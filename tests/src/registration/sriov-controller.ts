/** A controller with one virtual function: the inner controller with an SR-IOV capability in its extended space. */
import { SRIOV_OFFSET, SriovFunction, TestFunction } from '@nvme-stack/pci-bus/testing';
import type { AccessSize, PciFunction, PciHost, PciResetKind } from '@nvme-stack/pci-function';

const SRIOV_END = SRIOV_OFFSET + 0x40;

export class SriovController implements PciFunction {
  private readonly inner: PciFunction;
  private readonly capability = new SriovFunction(1, 1);
  /** Of no class the driver takes. */
  private readonly vf = new TestFunction({ bars: [], capabilities: [], identity: { classCode: 0x088000 } });

  constructor(inner: PciFunction) {
    this.inner = inner;
  }

  attach(host: PciHost): void {
    this.inner.attach(host);
  }
  configRead(offset: number, size: AccessSize): number {
    return this.holder(offset).configRead(offset, size);
  }
  configWrite(offset: number, value: number, size: AccessSize): void {
    this.holder(offset).configWrite(offset, value, size);
  }
  barRead(bar: number, offset: number, size: AccessSize): number {
    return this.inner.barRead(bar, offset, size);
  }
  barWrite(bar: number, offset: number, value: number, size: AccessSize): void {
    this.inner.barWrite(bar, offset, value, size);
  }
  deferred(): void {
    this.inner.deferred();
  }
  alarm(): void {
    this.inner.alarm();
  }
  reset(kind: PciResetKind): void {
    this.inner.reset(kind);
  }
  virtualFunctions(): readonly PciFunction[] {
    return (this.capability.configRead(SRIOV_OFFSET + 0x08, 2) & 1) === 0 ? [] : [this.vf];
  }

  private holder(offset: number): PciFunction {
    return offset >= SRIOV_OFFSET && offset < SRIOV_END ? this.capability : this.inner;
  }
}
