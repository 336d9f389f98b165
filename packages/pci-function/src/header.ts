// Standard configuration headers: type 0 for endpoints, type 1 for bridges and root ports.
// Kernel counterpart: what drivers/pci/probe.c pci_setup_device reads. Spec: [PCI] 3.0 §6.1-6.2, [PCI-BRIDGE] 1.2 §3.2.
import type { ConfigSpace } from './config-space.js';
import * as regs from './pci-regs.js';

/** Identity of a function as its header states it; every number as in the register. */
export interface PciIdentity {
  readonly vendorId: number;
  readonly deviceId: number;
  readonly revisionId: number;
  /** 24 bits: base class, sub-class, programming interface (0x010802 is NVM Express). */
  readonly classCode: number;
  readonly subsystemVendorId?: number;
  readonly subsystemId?: number;
  /** 0 none, 1 INTA … 4 INTD. */
  readonly interruptPin?: number;
  readonly multiFunction?: boolean;
}

const COMMAND_WRITABLE =
  regs.PCI_COMMAND_IO |
  regs.PCI_COMMAND_MEMORY |
  regs.PCI_COMMAND_MASTER |
  regs.PCI_COMMAND_PARITY |
  regs.PCI_COMMAND_SERR |
  regs.PCI_COMMAND_INTX_DISABLE;

const STATUS_ERROR_BITS =
  regs.PCI_STATUS_PARITY |
  regs.PCI_STATUS_SIG_TARGET_ABORT |
  regs.PCI_STATUS_REC_TARGET_ABORT |
  regs.PCI_STATUS_REC_MASTER_ABORT |
  regs.PCI_STATUS_SIG_SYSTEM_ERROR |
  regs.PCI_STATUS_DETECTED_PARITY;

function writeCommonHeader(config: ConfigSpace, identity: PciIdentity, headerType: number): void {
  config.set(regs.PCI_VENDOR_ID, identity.vendorId, 2);
  config.set(regs.PCI_DEVICE_ID, identity.deviceId, 2);
  config.set(regs.PCI_CLASS_REVISION, ((identity.classCode << 8) | identity.revisionId) >>> 0, 4);
  config.set(regs.PCI_HEADER_TYPE, headerType | (identity.multiFunction ? regs.PCI_HEADER_TYPE_MFD : 0), 1);
  config.set(regs.PCI_INTERRUPT_PIN, identity.interruptPin ?? 0, 1);
  config.allowWrite(regs.PCI_COMMAND, COMMAND_WRITABLE, 2);
  config.clearOnOne(regs.PCI_STATUS, STATUS_ERROR_BITS, 2);
  config.allowWrite(regs.PCI_CACHE_LINE_SIZE, 0xff, 1);
  config.allowWrite(regs.PCI_INTERRUPT_LINE, 0xff, 1);
}

/** Lays out a type 0 header (an endpoint); BARs and capabilities are added after it. */
export function writeEndpointHeader(config: ConfigSpace, identity: PciIdentity): void {
  writeCommonHeader(config, identity, regs.PCI_HEADER_TYPE_NORMAL);
  config.set(regs.PCI_SUBSYSTEM_VENDOR_ID, identity.subsystemVendorId ?? 0, 2);
  config.set(regs.PCI_SUBSYSTEM_ID, identity.subsystemId ?? 0, 2);
}

/** Lays out a type 1 header (bridge, root port): bus numbers, memory and 64-bit prefetchable windows, no I/O window. */
export function writeBridgeHeader(config: ConfigSpace, identity: PciIdentity): void {
  writeCommonHeader(config, identity, regs.PCI_HEADER_TYPE_BRIDGE);
  config.allowWrite(regs.PCI_PRIMARY_BUS, 0x00ffffff, 4);
  config.clearOnOne(regs.PCI_SEC_STATUS, STATUS_ERROR_BITS, 2);
  config.allowWrite(regs.PCI_MEMORY_BASE, regs.PCI_MEMORY_RANGE_MASK, 2);
  config.allowWrite(regs.PCI_MEMORY_LIMIT, regs.PCI_MEMORY_RANGE_MASK, 2);
  config.set(regs.PCI_PREF_MEMORY_BASE, regs.PCI_PREF_RANGE_TYPE_64, 2);
  config.set(regs.PCI_PREF_MEMORY_LIMIT, regs.PCI_PREF_RANGE_TYPE_64, 2);
  config.allowWrite(regs.PCI_PREF_MEMORY_BASE, regs.PCI_PREF_RANGE_MASK, 2);
  config.allowWrite(regs.PCI_PREF_MEMORY_LIMIT, regs.PCI_PREF_RANGE_MASK, 2);
  config.allowWrite(regs.PCI_PREF_BASE_UPPER32, 0xffffffff, 4);
  config.allowWrite(regs.PCI_PREF_LIMIT_UPPER32, 0xffffffff, 4);
  config.allowWrite(
    regs.PCI_BRIDGE_CONTROL,
    regs.PCI_BRIDGE_CTL_PARITY | regs.PCI_BRIDGE_CTL_SERR | regs.PCI_BRIDGE_CTL_ISA | regs.PCI_BRIDGE_CTL_BUS_RESET,
    2,
  );
}

/** Clears what a conventional or function level reset clears in the header: command, BAR or window values, line. */
export function resetHeader(config: ConfigSpace): void {
  config.write(regs.PCI_COMMAND, 0, 2);
  config.write(regs.PCI_CACHE_LINE_SIZE, 0, 1);
  config.write(regs.PCI_INTERRUPT_LINE, 0, 1);
  for (let offset = regs.PCI_BASE_ADDRESS_0; offset <= regs.PCI_BASE_ADDRESS_5; offset += 4) config.write(offset, 0, 4);
  if ((config.read(regs.PCI_HEADER_TYPE, 1) & regs.PCI_HEADER_TYPE_MASK) !== regs.PCI_HEADER_TYPE_BRIDGE) return;
  config.write(regs.PCI_PREF_BASE_UPPER32, 0, 4);
  config.write(regs.PCI_PREF_LIMIT_UPPER32, 0, 4);
  config.write(regs.PCI_BRIDGE_CONTROL, 0, 2);
}
