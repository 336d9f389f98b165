/** A PCI function that is no NVMe controller: adds what is written to it and interrupts when the sum is there. */
import { type AccessSize, PciEndpoint, type PciFunction, type PciHost } from '@nvme-stack/pci-function';

export const ADDER_VENDOR = 0xcafe;
export const ADDER_DEVICE = 0xadd;
/** Register: adds to the sum some time after it is written. */
export const ADDER_OPERAND = 0;
/** Register: the sum. */
export const ADDER_SUM = 4;

const DELAY_NS = 5000;
const TABLE_OFFSET = 0x800;
const PBA_OFFSET = 0xc00;

export class Adder implements PciFunction {
  interrupts = 0;
  private readonly endpoint = new PciEndpoint(
    {
      identity: {
        vendorId: ADDER_VENDOR,
        deviceId: ADDER_DEVICE,
        revisionId: 1,
        classCode: 0xff0000,
        subsystemVendorId: ADDER_VENDOR,
        subsystemId: 1,
        interruptPin: 1,
      },
      bars: [{ index: 0, sizeBytes: 0x1000 }],
      capabilities: [
        {
          kind: 'msix',
          offset: 0x40,
          vectors: 1,
          tableBar: 0,
          tableOffset: TABLE_OFFSET,
          pbaBar: 0,
          pbaOffset: PBA_OFFSET,
        },
      ],
    },
    { functionLevelReset: () => this.reset() },
  );
  private host: PciHost | null = null;
  private sum = 0;
  private operand = 0;

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
    return offset === ADDER_SUM ? this.sum : 0;
  }
  barWrite(bar: number, offset: number, value: number, size: AccessSize): void {
    if (this.endpoint.msix?.claims(bar, offset)) this.endpoint.msix.write(bar, offset, value, size);
    else if (offset === ADDER_SUM) this.sum = value;
    else if (offset === ADDER_OPERAND && this.host !== null) {
      this.operand = value;
      this.host.alarmAt(this.host.nowNs() + DELAY_NS);
    }
  }
  deferred(): void {}
  alarm(): void {
    this.sum += this.operand;
    this.interrupts++;
    this.endpoint.msix?.notify(0);
  }
  reset(): void {
    this.sum = 0;
    this.operand = 0;
    this.endpoint.reset();
  }
}
