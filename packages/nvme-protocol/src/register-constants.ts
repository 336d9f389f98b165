/**
 * Register offsets and values under Linux's names, and what a driver derives from CAP.
 * Kernel counterpart: include/linux/nvme.h NVME_REG_*, NVME_CC_*, NVME_CSTS_*, NVME_CAP_*. [NVMe] 3.1.4.
 */
import { CAP, CC, CSTS } from './registers.js';

export const NVME_REG_CAP = 0x0000;
export const NVME_REG_VS = 0x0008;
export const NVME_REG_INTMS = 0x000c;
export const NVME_REG_INTMC = 0x0010;
export const NVME_REG_CC = 0x0014;
export const NVME_REG_CSTS = 0x001c;
export const NVME_REG_NSSR = 0x0020;
export const NVME_REG_AQA = 0x0024;
export const NVME_REG_ASQ = 0x0028;
export const NVME_REG_ACQ = 0x0030;
export const NVME_REG_CMBLOC = 0x0038;
export const NVME_REG_CMBSZ = 0x003c;
export const NVME_REG_BPINFO = 0x0040;
export const NVME_REG_BPRSEL = 0x0044;
export const NVME_REG_BPMBL = 0x0048;
export const NVME_REG_CMBMSC = 0x0050;
export const NVME_REG_CMBSTS = 0x0058;
export const NVME_REG_CMBEBS = 0x005c;
export const NVME_REG_CMBSWTP = 0x0060;
export const NVME_REG_NSSD = 0x0064;
export const NVME_REG_CRTO = 0x0068;
export const NVME_REG_PMRCAP = 0x0e00;
export const NVME_REG_PMRCTL = 0x0e04;
export const NVME_REG_PMRSTS = 0x0e08;
export const NVME_REG_PMREBS = 0x0e0c;
export const NVME_REG_PMRSWTP = 0x0e10;
export const NVME_REG_PMRMSCL = 0x0e14;
export const NVME_REG_PMRMSCU = 0x0e18;
/** First byte of the doorbells. */
export const NVME_REG_DBS = 0x1000;

export const NVME_CC_ENABLE = CC.EN.put(1);
export const NVME_CC_EN_SHIFT = 0;
export const NVME_CC_CSS_SHIFT = 4;
export const NVME_CC_CSS_NVM = CC.CSS.put(0);
export const NVME_CC_CSS_CSI = CC.CSS.put(6);
export const NVME_CC_CSS_ADMIN = CC.CSS.put(7);
export const NVME_CC_CSS_MASK = CC.CSS.mask;
export const NVME_CC_MPS_SHIFT = 7;
export const NVME_CC_MPS_MASK = CC.MPS.mask;
export const NVME_CC_AMS_SHIFT = 11;
export const NVME_CC_AMS_RR = CC.AMS.put(0);
export const NVME_CC_AMS_WRRU = CC.AMS.put(1);
export const NVME_CC_AMS_VS = CC.AMS.put(7);
export const NVME_CC_AMS_MASK = CC.AMS.mask;
export const NVME_CC_SHN_SHIFT = 14;
export const NVME_CC_SHN_NONE = CC.SHN.put(0);
export const NVME_CC_SHN_NORMAL = CC.SHN.put(1);
export const NVME_CC_SHN_ABRUPT = CC.SHN.put(2);
export const NVME_CC_SHN_MASK = CC.SHN.mask;
export const NVME_CC_IOSQES_SHIFT = 16;
export const NVME_CC_IOCQES_SHIFT = 20;
export const NVME_CC_IOSQES_MASK = CC.IOSQES.mask;
export const NVME_CC_IOCQES_MASK = CC.IOCQES.mask;
/** log2 of the submission entry size; Linux's NVME_NVM_IOSQES and NVME_ADM_SQES. */
export const NVME_NVM_IOSQES = 6;
export const NVME_ADM_SQES = 6;
/** log2 of the completion entry size. */
export const NVME_NVM_IOCQES = 4;
export const NVME_CC_IOSQES = CC.IOSQES.put(NVME_NVM_IOSQES);
export const NVME_CC_IOCQES = CC.IOCQES.put(NVME_NVM_IOCQES);
export const NVME_CC_CRIME = CC.CRIME.put(1);

export const NVME_CSTS_RDY = CSTS.RDY.put(1);
export const NVME_CSTS_CFS = CSTS.CFS.put(1);
export const NVME_CSTS_NSSRO = CSTS.NSSRO.put(1);
export const NVME_CSTS_PP = CSTS.PP.put(1);
export const NVME_CSTS_SHST_NORMAL = CSTS.SHST.put(0);
export const NVME_CSTS_SHST_OCCUR = CSTS.SHST.put(1);
export const NVME_CSTS_SHST_CMPLT = CSTS.SHST.put(2);
export const NVME_CSTS_SHST_MASK = CSTS.SHST.mask;

/** Bits of CAP.CSS (right-aligned). */
export const NVME_CAP_CSS_NVM = 1 << 0;
export const NVME_CAP_CSS_CSI = 1 << 6;
export const NVME_CAP_CSS_ADMIN = 1 << 7;

export const NVME_CMBSZ_SQS = 1 << 0;
export const NVME_CMBSZ_CQS = 1 << 1;
export const NVME_CMBSZ_LISTS = 1 << 2;
export const NVME_CMBSZ_RDS = 1 << 3;
export const NVME_CMBSZ_WDS = 1 << 4;
export const NVME_CMBMSC_CRE = 1 << 0;
export const NVME_CMBMSC_CMSE = 1 << 1;

/** The value that resets the subsystem when written to NSSR, "NVMe". [NVMe] 3.1.4.7. */
export const NVME_SUBSYS_RESET = 0x4e564d65;

/** Largest queue the controller takes, 0-based. @kernel include/linux/nvme.h NVME_CAP_MQES */
export function NVME_CAP_MQES(capLo: number): number {
  return CAP.MQES.get(capLo);
}

/** Ready timeout in units of 500 ms. @kernel include/linux/nvme.h NVME_CAP_TIMEOUT */
export function NVME_CAP_TIMEOUT(capLo: number): number {
  return CAP.TO.get(capLo);
}

/** Doorbell stride as a power of two, in units of 4 bytes. @kernel include/linux/nvme.h NVME_CAP_STRIDE */
export function NVME_CAP_STRIDE(capLo: number, capHi: number): number {
  return CAP.DSTRD.get(capLo, capHi);
}

/** Smallest page as a power of two, in units of 4096 bytes. @kernel include/linux/nvme.h NVME_CAP_MPSMIN */
export function NVME_CAP_MPSMIN(capLo: number, capHi: number): number {
  return CAP.MPSMIN.get(capLo, capHi);
}

/** Largest page as a power of two, in units of 4096 bytes. @kernel include/linux/nvme.h NVME_CAP_MPSMAX */
export function NVME_CAP_MPSMAX(capLo: number, capHi: number): number {
  return CAP.MPSMAX.get(capLo, capHi);
}

/** 1 if the NVM subsystem can be reset through NSSR. @kernel include/linux/nvme.h NVME_CAP_NSSRC */
export function NVME_CAP_NSSRC(capLo: number, capHi: number): number {
  return CAP.NSSRS.get(capLo, capHi);
}

/** Command sets supported. @kernel include/linux/nvme.h NVME_CAP_CSS */
export function NVME_CAP_CSS(capLo: number, capHi: number): number {
  return CAP.CSS.get(capLo, capHi);
}

/** 1 if there is a controller memory buffer. @kernel include/linux/nvme.h NVME_CAP_CMBS */
export function NVME_CAP_CMBS(capLo: number, capHi: number): number {
  return CAP.CMBS.get(capLo, capHi);
}

/** Version number from its parts, as VS holds it. @kernel include/linux/nvme.h NVME_VS */
export function NVME_VS(major: number, minor: number, tertiary: number): number {
  return ((major << 16) | (minor << 8) | tertiary) >>> 0;
}
