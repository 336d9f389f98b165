/**
 * The sizes the kernel checks when it is built. Kernel counterpart: drivers/nvme/host/core.c _nvme_check_size.
 */
import type { AnyStruct } from '@nvme-stack/wire';
import * as admin from './commands-admin.js';
import { NvmeCommonCommand } from './commands-common.js';
import * as io from './commands-io.js';
import { NvmeCompletion } from './completion.js';
import { NvmeSglDesc } from './data-pointer.js';
import { NvmeFeatHostBehavior, NvmeHostMemBufDesc } from './features.js';
import * as commandSet from './identify-command-set.js';
import { NvmeIdCtrl } from './identify-controller.js';
import { NvmeCtrlList, NvmeNsIdDesc, NvmeNsList } from './identify-lists.js';
import { NvmeIdNs, NvmeIdNsCsIndep } from './identify-namespace.js';
import { NVME_CQE_BYTES, NVME_IDENTIFY_DATA_SIZE, NVME_SQE_BYTES } from './limits.js';
import * as logs from './log-pages.js';
import { NvmeIdPowerState } from './power-state.js';

const EXPECTED: readonly (readonly [sizeBytes: number, structs: readonly AnyStruct[]])[] = [
  [
    NVME_SQE_BYTES,
    [
      NvmeCommonCommand,
      io.NvmeRwCommand,
      io.NvmeWriteZeroesCmd,
      io.NvmeDsmCmd,
      io.NvmeCopyCmd,
      admin.NvmeIdentify,
      admin.NvmeFeatures,
      admin.NvmeCreateCq,
      admin.NvmeCreateSq,
      admin.NvmeDeleteQueue,
      admin.NvmeAbortCmd,
      admin.NvmeAsyncEventCmd,
      admin.NvmeGetLogPageCommand,
      admin.NvmeDbbufCmd,
      admin.NvmeFormatCmd,
      admin.NvmeDownloadFirmware,
      admin.NvmeFirmwareCommitCmd,
      admin.NvmeNsMgmtCmd,
      admin.NvmeDirectiveCmd,
    ],
  ],
  [NVME_CQE_BYTES, [NvmeCompletion, io.NvmeDsmRange, NvmeSglDesc, NvmeHostMemBufDesc]],
  [
    NVME_IDENTIFY_DATA_SIZE,
    [
      NvmeIdCtrl,
      NvmeIdNs,
      NvmeIdNsCsIndep,
      commandSet.NvmeIdCtrlNvm,
      commandSet.NvmeIdNsNvm,
      commandSet.NvmeIdCtrlZns,
      commandSet.NvmeIdNsZns,
      NvmeNsList,
      NvmeCtrlList,
      logs.NvmeChangedNsLog,
      logs.NvmeEffectsLog,
    ],
  ],
  [512, [logs.NvmeSmartLog, logs.NvmeFwSlotInfoLog, NvmeFeatHostBehavior]],
  [64, [logs.NvmeErrorSlot]],
  [32, [NvmeIdPowerState]],
  [4, [NvmeNsIdDesc]],
];

/**
 * Throws an `Error` naming every struct whose size is not the wire's; drivers call it when they are loaded.
 * @kernel drivers/nvme/host/core.c _nvme_check_size
 */
export function nvmeCheckSize(): void {
  const wrong: string[] = [];
  for (const [sizeBytes, structs] of EXPECTED) {
    for (const struct of structs) {
      if (struct.sizeBytes !== sizeBytes) wrong.push(`${struct.name} has ${struct.sizeBytes} bytes, not ${sizeBytes}`);
    }
  }
  if (wrong.length > 0) throw new Error(wrong.join('; '));
}
