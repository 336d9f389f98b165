// The capability list and the capabilities without a run-time part: power management and PCI Express.
// Kernel counterpart: what drivers/pci/pci.c pci_find_capability walks. Spec: [PCI] 3.0 §6.7, [PCI-PM] 1.2 §3.2, [PCIe] 5.0 §7.5.3.
import type { ConfigSpace } from './config-space.js';
import * as regs from './pci-regs.js';

/** Appends a capability header at offset (dword aligned, 0x40..0xfc) to the list; throws a RangeError on a bad offset. */
export function addCapability(config: ConfigSpace, id: number, offset: number): void {
  if (offset < 0x40 || offset > 0xfc || offset % 4 !== 0) {
    throw new RangeError(`capability offset ${offset} is not allowed: it must be a multiple of 4 in 0x40..0xfc`);
  }
  let link = regs.PCI_CAPABILITY_LIST;
  for (let next = config.read(link, 1); next !== 0; next = config.read(link, 1)) link = next + regs.PCI_CAP_LIST_NEXT;
  config.set(link, offset, 1);
  config.set(offset + regs.PCI_CAP_LIST_ID, id, 1);
  config.set(offset + regs.PCI_CAP_LIST_NEXT, 0, 1);
  config.set(regs.PCI_STATUS, config.read(regs.PCI_STATUS, 2) | regs.PCI_STATUS_CAP_LIST, 2);
}

/** The offset of the first capability with this id, or 0. */
export function findCapability(config: ConfigSpace, id: number): number {
  let offset = config.read(regs.PCI_CAPABILITY_LIST, 1);
  for (let left = 48; offset !== 0 && left > 0; left--) {
    if (config.read(offset + regs.PCI_CAP_LIST_ID, 1) === id) return offset;
    offset = config.read(offset + regs.PCI_CAP_LIST_NEXT, 1);
  }
  return 0;
}

/** Adds power management: D0 and D3hot, state kept across D3hot (No_Soft_Reset), no PME. */
export function addPowerManagement(config: ConfigSpace, offset: number): void {
  addCapability(config, regs.PCI_CAP_ID_PM, offset);
  config.set(offset + regs.PCI_PM_PMC, 3, 2);
  config.set(offset + regs.PCI_PM_CTRL, regs.PCI_PM_CTRL_NO_SOFT_RESET, 2);
  config.allowWrite(offset + regs.PCI_PM_CTRL, regs.PCI_PM_CTRL_STATE_MASK, 2);
}

/** A PCI Express capability; the link is 2.5 GT/s and one lane wide unless told. */
export interface ExpressDescription {
  readonly offset: number;
  /** One of PCI_EXP_TYPE_*. */
  readonly type: number;
  readonly functionLevelReset?: boolean;
  /** PCI_EXP_LNKCAP_SLS value, 1 = 2.5 GT/s. */
  readonly linkSpeed?: number;
  readonly linkWidth?: number;
  /** A hot-plug slot below this port, with its physical slot number. */
  readonly slotNumber?: number;
  /** What the slot has beside hot-plug and surprise removal: PCI_EXP_SLTCAP_ABP, _PCP, _AIP, _PIP, _NCCS. Default 0. */
  readonly slotCapabilities?: number;
  /** Device Capabilities 2, as in the register. */
  readonly deviceCapabilities2?: number;
}

/** Adds the PCI Express capability, version 2; a root complex integrated endpoint has no writable link control. */
export function addExpress(config: ConfigSpace, express: ExpressDescription): void {
  const at = express.offset;
  const link = (express.linkSpeed ?? 1) | ((express.linkWidth ?? 1) << 4);
  const hasSlot = express.slotNumber !== undefined;
  addCapability(config, regs.PCI_CAP_ID_EXP, at);
  config.set(at + regs.PCI_EXP_FLAGS, 2 | (express.type << 4) | (hasSlot ? regs.PCI_EXP_FLAGS_SLOT : 0), 2);
  const flr = express.functionLevelReset ? regs.PCI_EXP_DEVCAP_FLR : 0;
  config.set(at + regs.PCI_EXP_DEVCAP, (regs.PCI_EXP_DEVCAP_RBER | flr) >>> 0, 4);
  config.allowWrite(at + regs.PCI_EXP_DEVCTL, 0x78ff, 2);
  config.clearOnOne(at + regs.PCI_EXP_DEVSTA, 0x000f, 2);
  config.set(at + regs.PCI_EXP_LNKCAP, link | 0x400, 4);
  config.set(at + regs.PCI_EXP_LNKSTA, link, 2);
  config.set(at + regs.PCI_EXP_DEVCAP2, express.deviceCapabilities2 ?? 0, 4);
  if (express.type !== regs.PCI_EXP_TYPE_RC_END) config.allowWrite(at + regs.PCI_EXP_LNKCTL, 0x00fb, 2);
  if (hasSlot) addSlot(config, express, at);
}

function addSlot(config: ConfigSpace, express: ExpressDescription, at: number): void {
  const { slotNumber = 0, slotCapabilities = 0 } = express;
  const hotPlug = regs.PCI_EXP_SLTCAP_HPS | regs.PCI_EXP_SLTCAP_HPC;
  const capabilities = slotCapabilities | hotPlug | (slotNumber << 19);
  config.set(at + regs.PCI_EXP_SLTCAP, capabilities >>> 0, 4);
  config.allowWrite(at + regs.PCI_EXP_SLTCTL, 0x17ff, 2);
  config.clearOnOne(at + regs.PCI_EXP_SLTSTA, 0x011f, 2);
  const linkCapabilities = config.read(at + regs.PCI_EXP_LNKCAP, 4) | regs.PCI_EXP_LNKCAP_DLLLARC;
  config.set(at + regs.PCI_EXP_LNKCAP, linkCapabilities >>> 0, 4);
}
