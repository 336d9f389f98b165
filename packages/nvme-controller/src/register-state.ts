// The register file's contents; behaviour is in registers.ts.
// Kernel counterpart: the other end of drivers/nvme/host readl/writel of NVME_REG_*. Spec: [NVMe] 2.0 §3.1.4.
import { CAP } from '@nvme-stack/nvme-protocol';
import type { ResolvedController } from './description.js';
import type { VersionDescription } from './hardware-description.js';

/** VS by specification. */
const VERSIONS: Readonly<Record<VersionDescription, number>> = {
  '1.0': 0x00010000,
  '1.1': 0x00010100,
  '1.2': 0x00010200,
  '1.3': 0x00010300,
  '1.4': 0x00010400,
};
/** CAP.CSS: NVM command set, I/O command sets, admin only; earlier controllers know the first alone. */
const COMMAND_SETS = 0xc1;
const NVM_COMMAND_SET = 0x01;
/** CAP.MPSMAX: 64 KiB. */
export const MPS_MAX = 4;

/** Register contents as dwords. */
export class RegisterState {
  readonly version: number;
  readonly capLo: number;
  readonly capHi: number;
  cc: number;
  csts: number;
  aqa: number;
  asqLo: number;
  asqHi: number;
  acqLo: number;
  acqHi: number;

  constructor(description: ResolvedController) {
    this.capLo = (CAP.MQES.put(description.mqes) | CAP.CQR.put(1) | CAP.TO.put(description.timeout)) >>> 0;
    this.capHi =
      (CAP.DSTRD.putHi(description.dstrd) |
        CAP.NSSRS.putHi(description.subsystemReset ? 1 : 0) |
        CAP.CSS.putHi(description.version === '1.4' ? COMMAND_SETS : NVM_COMMAND_SET) |
        CAP.CMBS.putHi(description.cmb?.legacy === false ? 1 : 0) |
        CAP.MPSMAX.putHi(MPS_MAX)) >>>
      0;
    this.version = VERSIONS[description.version];
    this.cc = 0;
    this.csts = 0;
    this.aqa = 0;
    this.asqLo = 0;
    this.asqHi = 0;
    this.acqLo = 0;
    this.acqHi = 0;
  }
}
