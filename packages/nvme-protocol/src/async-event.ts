/**
 * Asynchronous events: what a completion's dword 0 says, and what the host may enable.
 * Kernel counterpart: include/linux/nvme.h NVME_AER_*, NVME_AEN_*. [NVMe] 5.1.2, 5.1.25.1.5.
 */
import { bit, bits } from '@nvme-stack/wire';

/** Dword 0 of an Asynchronous Event Request's completion. [NVMe] 5.1.2. */
export const AsyncEventResult = { LID: bits(23, 16), AEI: bits(15, 8), AET: bits(2, 0) } as const;

export const NVME_AER_ERROR = 0;
export const NVME_AER_SMART = 1;
export const NVME_AER_NOTICE = 2;
export const NVME_AER_CSS = 6;
export const NVME_AER_VS = 7;

/** Information for error events. */
export const NVME_AER_ERROR_INVALID_DB_REG = 0x00;
export const NVME_AER_ERROR_INVALID_DB_VAL = 0x01;
export const NVME_AER_ERROR_DIAG_FAILURE = 0x02;
export const NVME_AER_ERROR_PERSIST_INT_ERR = 0x03;
export const NVME_AER_ERROR_TRANS_INT_ERR = 0x04;
export const NVME_AER_ERROR_FW_IMAGE_LOAD = 0x05;

/** Information for SMART events. */
export const NVME_AER_SMART_RELIABILITY = 0x00;
export const NVME_AER_SMART_TEMP_THRESH = 0x01;
export const NVME_AER_SMART_SPARE_BELOW = 0x02;

/** Information for notices. */
export const NVME_AER_NOTICE_NS_CHANGED = 0x00;
export const NVME_AER_NOTICE_FW_ACT_STARTING = 0x01;
export const NVME_AER_NOTICE_TELEMETRY = 0x02;
export const NVME_AER_NOTICE_ANA = 0x03;
export const NVME_AER_NOTICE_DISC_CHANGED = 0xf0;

/** Asynchronous Event Configuration, dword 11. [NVMe] 5.1.25.1.5. */
export const AsyncEventConfiguration = {
  DISC_CHANGE: bit(31),
  EGEAGN: bit(14),
  LSIN: bit(13),
  PLEAN: bit(12),
  ANA_CHANGE: bit(11),
  TELEMETRY: bit(10),
  FW_ACT: bit(9),
  NS_ATTR: bit(8),
  SMART: bits(7, 0),
} as const;

export const NVME_AEN_BIT_NS_ATTR = 8;
export const NVME_AEN_BIT_FW_ACT = 9;
export const NVME_AEN_BIT_ANA_CHANGE = 11;
export const NVME_AEN_BIT_DISC_CHANGE = 31;
export const NVME_AEN_CFG_NS_ATTR = 1 << NVME_AEN_BIT_NS_ATTR;
export const NVME_AEN_CFG_FW_ACT = 1 << NVME_AEN_BIT_FW_ACT;
export const NVME_AEN_CFG_ANA_CHANGE = 1 << NVME_AEN_BIT_ANA_CHANGE;
/** Unsigned, unlike a plain shift. */
export const NVME_AEN_CFG_DISC_CHANGE = 0x80000000;

/** Dword 0 of an event's completion. */
export function asyncEventResult(type: number, info: number, logPage: number): number {
  return AsyncEventResult.AET.put(type) | AsyncEventResult.AEI.put(info) | AsyncEventResult.LID.put(logPage);
}

const TYPE_NAMES: { readonly [type: number]: string } = {
  [NVME_AER_ERROR]: 'NVME_AER_ERROR',
  [NVME_AER_SMART]: 'NVME_AER_SMART',
  [NVME_AER_NOTICE]: 'NVME_AER_NOTICE',
  [NVME_AER_CSS]: 'NVME_AER_CSS',
  [NVME_AER_VS]: 'NVME_AER_VS',
};

/** The name Linux's nvme_async_event prints for a result's type. @kernel drivers/nvme/host/trace.h nvme_async_event */
export function nvmeAsyncEventTypeName(result: number): string {
  const type = AsyncEventResult.AET.get(result);
  return TYPE_NAMES[type] ?? `0x${type.toString(16)}`;
}
