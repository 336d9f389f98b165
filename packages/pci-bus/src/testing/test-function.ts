/**
 * A configurable endpoint for tests: identity, BARs of scratch memory, any capabilities, a log of resets.
 * Kernel counterpart: none.
 */
import {
  type AccessSize,
  type EndpointCapability,
  PCI_EXP_TYPE_RC_END,
  type PciBar,
  PciEndpoint,
  type PciFunction,
  type PciHost,
  type PciIdentity,
  type PciResetKind,
} from '@nvme-stack/pci-function';

/** What differs from the default: an NVMe-like function with a 16 KiB 64-bit BAR and 5 MSI-X vectors. */
export interface TestFunctionOptions {
  readonly identity?: Partial<PciIdentity>;
  readonly bars?: readonly PciBar[];
  readonly capabilities?: readonly EndpointCapability[];
}

const SCRATCH_BYTES = 0x2000;

/** The default's capabilities, in QEMU's order. */
export function nvmeLikeCapabilities(vectors = 5): EndpointCapability[] {
  return [
    { kind: 'msix', offset: 0x40, vectors, tableBar: 0, tableOffset: 0x2000, pbaBar: 0, pbaOffset: 0x3000 },
    { kind: 'express', offset: 0x80, type: PCI_EXP_TYPE_RC_END, functionLevelReset: true },
    { kind: 'pm', offset: 0x60 },
  ];
}

/** Offsets below 0x2000 of BAR 0 are scratch dwords. */
export class TestFunction implements PciFunction {
  readonly endpoint: PciEndpoint;
  readonly resets: PciResetKind[] = [];
  readonly calls: string[] = [];
  host: PciHost | null = null;
  private readonly scratch = new Uint32Array(SCRATCH_BYTES / 4);

  constructor(options: TestFunctionOptions = {}) {
    this.endpoint = new PciEndpoint(
      {
        identity: {
          vendorId: 0x1b36,
          deviceId: 0x0010,
          revisionId: 2,
          classCode: 0x010802,
          subsystemVendorId: 0x1af4,
          subsystemId: 0x1100,
          interruptPin: 1,
          ...options.identity,
        },
        bars: options.bars ?? [{ index: 0, sizeBytes: 0x4000, is64Bit: true }],
        capabilities: options.capabilities ?? nvmeLikeCapabilities(),
      },
      { functionLevelReset: () => this.reset('flr') },
    );
  }

  attach(host: PciHost): void {
    this.host = host;
    this.endpoint.attach(host);
  }
  configRead(offset: number, size: AccessSize): number {
    return this.endpoint.configRead(offset, size);
  }
  configWrite(offset: number, value: number, size: AccessSize): void {
    this.endpoint.configWrite(offset, value, size);
  }
  barRead(bar: number, offset: number, size: AccessSize): number {
    if (this.endpoint.msix?.claims(bar, offset)) return this.endpoint.msix.read(bar, offset, size);
    return this.scratch[offset >>> 2] ?? 0;
  }
  barWrite(bar: number, offset: number, value: number, size: AccessSize): void {
    if (this.endpoint.msix?.claims(bar, offset)) this.endpoint.msix.write(bar, offset, value, size);
    else if (offset < SCRATCH_BYTES) this.scratch[offset >>> 2] = value;
  }
  deferred(): void {
    this.calls.push('deferred');
  }
  alarm(): void {
    this.calls.push('alarm');
  }
  reset(kind: PciResetKind): void {
    this.resets.push(kind);
    this.scratch.fill(0);
    this.endpoint.reset();
  }
}
