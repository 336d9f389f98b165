/**
 * The functions a q35 board has of its own, so that the bus looks as the kernel finds it there.
 * Kernel counterpart: what lspci shows of QEMU's q35. None of them does anything but be enumerated.
 */

import type { AccessSize, PciBar, PciFunction, PciHost, PciIdentity } from '@nvme-stack/pci-function';
import * as regs from '@nvme-stack/pci-function';

/** A function with an identity and BARs and nothing behind them. */
export class PlainFunction implements PciFunction {
  private readonly endpoint: regs.PciEndpoint;

  constructor(identity: PciIdentity, bars: readonly PciBar[] = []) {
    this.endpoint = new regs.PciEndpoint({ identity, bars, capabilities: [] }, { functionLevelReset: () => {} });
  }

  attach(host: PciHost): void {
    this.endpoint.attach(host);
  }
  configRead(offset: number, size: AccessSize): number {
    return this.endpoint.configRead(offset, size);
  }
  configWrite(offset: number, value: number, size: AccessSize): void {
    this.endpoint.configWrite(offset, value, size);
  }
  barRead(_bar: number, _offset: number, _size: AccessSize): number {
    return 0;
  }
  barWrite(): void {}
  deferred(): void {}
  alarm(): void {}
  reset(): void {
    this.endpoint.reset();
  }
}

/** One function of the chipset and where it stands. */
export interface ChipsetFunction {
  readonly devfn: number;
  readonly function: PciFunction;
}

const INTEL = 0x8086;
const SUBSYSTEM = { subsystemVendorId: 0x1af4, subsystemId: 0x1100 };
const ICH9 = 0x1f << 3;

/** Host bridge, display, network card, and the ISA, SATA and SMBus functions of the south bridge. */
export function q35Functions(): ChipsetFunction[] {
  const intel = (
    deviceId: number,
    classCode: number,
    revisionId: number,
    more: Partial<PciIdentity> = {},
  ): PciIdentity => ({
    vendorId: INTEL,
    deviceId,
    classCode,
    revisionId,
    ...SUBSYSTEM,
    ...more,
  });
  const display: PciIdentity = { vendorId: 0x1234, deviceId: 0x1111, classCode: 0x030000, revisionId: 2, ...SUBSYSTEM };
  return [
    { devfn: 0, function: new PlainFunction(intel(0x29c0, 0x060000, 0)) },
    {
      devfn: 1 << 3,
      function: new PlainFunction(display, [
        { index: 0, sizeBytes: 16 << 20, prefetchable: true },
        { index: 2, sizeBytes: 4096 },
      ]),
    },
    {
      devfn: 2 << 3,
      function: new PlainFunction(intel(0x10d3, 0x020000, 0, { interruptPin: 1 }), [
        { index: 0, sizeBytes: 128 << 10 },
        { index: 1, sizeBytes: 128 << 10 },
        { index: 3, sizeBytes: 16 << 10 },
      ]),
    },
    { devfn: ICH9, function: new PlainFunction(intel(0x2918, 0x060100, 2, { multiFunction: true })) },
    {
      devfn: ICH9 | 2,
      function: new PlainFunction(intel(0x2922, 0x010601, 2, { interruptPin: 1 }), [{ index: 5, sizeBytes: 4096 }]),
    },
    { devfn: ICH9 | 3, function: new PlainFunction(intel(0x2930, 0x0c0500, 2, { interruptPin: 1 })) },
  ];
}
