/**
 * Finds the namespaces that are there, adds, updates and removes.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_scan_work, nvme_scan_ns_list, nvme_scan_ns. [NVMe] 5.1.13.
 */
import { Errno, KernelError, traced, withMutex } from '@nvme-stack/kernel';
import {
  CAP,
  CC,
  decodeNsIdDescriptors,
  NVME_CSI_NVM,
  NVME_CSI_ZNS,
  NVME_ID_CNS_NS_ACTIVE_LIST,
  NVME_ID_CNS_NS_CS_INDEP,
  NVME_ID_CNS_NS_DESC_LIST,
  NVME_LOG_CHANGED_NS,
  NVME_MAX_NS_LIST_ENTRIES,
  NVME_NIDT_CSI,
  NVME_NIDT_EUI64,
  NVME_NIDT_NGUID,
  NVME_NIDT_UUID,
  NVME_NS_ATTR_RO,
  NVME_NS_NMIC_SHARED,
  NVME_NSID_ALL,
  NVME_NSTAT_NRDY,
  NVME_SC_INVALID_NS,
  NVME_STATUS_DNR,
  NVME_VS,
  NvmeIdNsCsIndep,
  NvmeNsList,
} from '@nvme-stack/nvme-protocol';
import { nvmeWq } from './core.js';
import type { Ctrl } from './ctrl.js';
import type { ScanStep } from './eras.js';
import { nvmeIdCnsOk, nvmeIdentifyCtrl, nvmeInitNonMdtsLimits } from './identify.js';
import { ctrlLog, hex } from './log.js';
import { type Identify, type Ns, nvmeAllocNs, nvmeFindGetNs, nvmeNsRemove, nvmePutNs } from './namespace.js';
import { emptyIds, isZero, type NsIds, type NsInfo, nvmeNsIdsEqual } from './namespace-head.js';
import { nvmeIdentifyNs, nvmeUpdateNsInfo } from './namespace-update.js';
import { NVME_CTRL_LIVE, NVME_QUIRK_BOGUS_NID, NVME_QUIRK_NO_NS_DESC_LIST } from './ports.js';
import { getLog, identify } from './sync-command.js';

const CSS_CSI = 6;
const MAX_NSID = 0xffffffff;
const CHANGED_NS_LOG_BYTES = 4096;

/** Any context. @kernel drivers/nvme/host/core.c nvme_queue_scan */
export function nvmeQueueScan(ctrl: Ctrl): void {
  if (ctrl.state === NVME_CTRL_LIVE && ctrl.tagset !== null)
    ctrl.core.workqueues.queueWork(nvmeWq(ctrl.core), ctrl.scanWork);
}

/** The controller speaks of command sets. @kernel drivers/nvme/host/nvme.h nvme_multi_css */
function nvmeMultiCss(ctrl: Ctrl): boolean {
  return CC.CSS.get(ctrl.ctrlConfig) === CSS_CSI;
}

/** The work. @kernel drivers/nvme/host/core.c nvme_scan_work */
export const nvmeScanWork = traced('nvme_scan_work', async (ctrl: Ctrl): Promise<void> => {
  if (ctrl.state !== NVME_CTRL_LIVE || ctrl.tagset === null) return;
  const scan: Scan = { nn: null };
  for (const step of ctrl.core.era.scanSteps) if (!(await SCAN_STEPS[step](ctrl, scan))) return;
  await withMutex(ctrl.scanLock, async () => {
    const listed = nvmeIdCnsOk(ctrl, NVME_ID_CNS_NS_ACTIVE_LIST) ? await nvmeScanNsList(ctrl) : NVME_STATUS_DNR;
    // Some controllers refuse the list though their version has it.
    const isTried = ctrl.core.era.missingList === 'tried' && listed !== 0;
    if (isTried || (listed > 0 && listed & NVME_STATUS_DNR)) await nvmeScanNsSequential(ctrl, scan.nn);
  });
  if (ctrl.nsChanged) nvmeQueueScan(ctrl);
});

/** What a scan knows before it looks at namespaces. */
interface Scan {
  /** Number of namespaces, where the controller was identified for it. */
  nn: number | null;
}

/** A step is false where the scan ends. */
const SCAN_STEPS: Readonly<Record<ScanStep, (ctrl: Ctrl, scan: Scan) => Promise<boolean>>> = {
  'non-mdts-limits': async (ctrl) => {
    const limits = await nvmeInitNonMdtsLimits(ctrl);
    if (limits < 0) ctrlLog(ctrl, 'warn', `reading non-mdts-limits failed: ${limits}`);
    return limits >= 0;
  },
  'clear-changed-log': async (ctrl) => {
    if (!ctrl.nsChanged) return true;
    ctrl.nsChanged = false;
    ctrlLog(ctrl, 'info', 'rescanning namespaces.');
    await nvmeClearChangedNsLog(ctrl);
    return true;
  },
  'identify-ctrl': async (ctrl, scan) => {
    ctrl.nsChanged = false;
    scan.nn = (await nvmeIdentifyCtrl(ctrl))?.nn ?? null;
    return scan.nn !== null;
  },
};

/** Reading it lets the controller tell of the next change. @kernel drivers/nvme/host/core.c nvme_clear_changed_ns_log */
async function nvmeClearChangedNsLog(ctrl: Ctrl): Promise<void> {
  const { status } = await getLog(ctrl, NVME_NSID_ALL, NVME_LOG_CHANGED_NS, 0, CHANGED_NS_LOG_BYTES);
  if (status !== 0) ctrlLog(ctrl, 'warn', `reading changed ns log failed: ${status}`);
}

/** A scan of one list: asynchronous calls take ids in turn. @kernel drivers/nvme/host/core.c async_scan_info */
interface AsyncScanInfo {
  readonly kernel: Ctrl['kernel'];
  readonly ctrl: Ctrl;
  readonly nsids: number[];
  next: number;
}

/** @kernel drivers/nvme/host/core.c nvme_scan_ns_async */
const nvmeScanNsAsync = traced('nvme_scan_ns_async', async (info: AsyncScanInfo): Promise<void> => {
  const nsid = info.nsids[info.next++];
  await nvmeScanNs(info.ctrl, nsid);
});

/** NVMe status, or a negative errno. @kernel drivers/nvme/host/core.c nvme_scan_ns_list */
const nvmeScanNsList = traced('nvme_scan_ns_list', async (ctrl: Ctrl): Promise<number> => {
  const { workqueues } = ctrl.core;
  const domain = workqueues.asyncDomain();
  const info: AsyncScanInfo = { kernel: ctrl.kernel, ctrl, nsids: [], next: 0 };
  let previous = 0;
  for (;;) {
    const { status, data } = await identify(ctrl, NVME_ID_CNS_NS_ACTIVE_LIST, previous);
    if (status !== 0) {
      if (ctrl.core.era.missingList === 'logged')
        ctrlLog(ctrl, 'warn', `Identify NS List failed (status=0x${hex(status >>> 0)})`);
      await workqueues.asyncSynchronizeFullDomain(domain);
      return status;
    }
    const list = NvmeNsList.decode(data).nsid;
    const end = list.indexOf(0);
    for (const nsid of end < 0 ? list : list.slice(0, end)) {
      if (ctrl.core.era.scansInParallel) {
        info.nsids.push(nsid);
        workqueues.asyncScheduleDomain(nvmeScanNsAsync, info, domain);
      } else await nvmeScanNs(ctrl, nsid);
      if (nsid > previous + 1) await nvmeRemoveNsidRange(ctrl, previous + 1, nsid - 1);
      previous = nsid;
    }
    if (end >= 0 || list.length < NVME_MAX_NS_LIST_ENTRIES) break;
    await workqueues.asyncSynchronizeFullDomain(domain);
  }
  await nvmeRemoveInvalidNamespaces(ctrl, previous);
  await workqueues.asyncSynchronizeFullDomain(domain);
  return 0;
});

/** Ids 1 to NN, for controllers without the list. @kernel drivers/nvme/host/core.c nvme_scan_ns_sequential */
const nvmeScanNsSequential = traced(
  'nvme_scan_ns_sequential',
  async (ctrl: Ctrl, known: number | null): Promise<void> => {
    const nn = known ?? (await nvmeIdentifyCtrl(ctrl))?.nn;
    if (nn === undefined) return;
    for (let nsid = 1; nsid <= nn; nsid++) await nvmeScanNs(ctrl, nsid);
    await nvmeRemoveInvalidNamespaces(ctrl, nn);
  },
);

/** Removes what lies in a gap of the list. @kernel drivers/nvme/host/core.c nvme_remove_nsid_range */
const nvmeRemoveNsidRange = traced(
  'nvme_remove_nsid_range',
  async (ctrl: Ctrl, first: number, last: number): Promise<void> => {
    const gone = ctrl.namespaces.filter(({ nsid }) => nsid >= first && nsid <= last) as Ns[];
    for (const ns of gone) await nvmeNsRemove(ns);
  },
);

/** Removes what lies behind the last one that is there. @kernel drivers/nvme/host/core.c nvme_remove_invalid_namespaces */
const nvmeRemoveInvalidNamespaces = traced(
  'nvme_remove_invalid_namespaces',
  (ctrl: Ctrl, last: number): Promise<void> => nvmeRemoveNsidRange(ctrl, last + 1, MAX_NSID),
);

/** Adds, updates or removes one. @kernel drivers/nvme/host/core.c nvme_scan_ns */
const nvmeScanNs = traced('nvme_scan_ns', async (ctrl: Ctrl, nsid: number): Promise<void> => {
  const info: NsInfo = {
    nsid,
    ids: emptyIds(),
    shared: false,
    readOnly: false,
    ready: false,
    removed: false,
    anagrpid: 0,
    identified: null,
  };
  if (ctrl.core.era.namespaceIdentify !== 'descriptors-first') {
    await scanKnownFirst(ctrl, info);
    return;
  }
  const status = await identifyNamespace(ctrl, info);
  if (info.removed) await removeByNsid(ctrl, nsid);
  if (status !== 0 || !info.ready) return;
  const ns = nvmeFindGetNs(ctrl, nsid);
  if (ns === null) await tryAllocNs(ctrl, info, async () => 0);
  else {
    await nvmeValidateNs(ns, info);
    await nvmePutNs(ns);
  }
});

/** Looks for the namespace first, and identifies it as a part of adding or updating it. @kernel drivers/nvme/host/core.c nvme_validate_ns */
async function scanKnownFirst(ctrl: Ctrl, info: NsInfo): Promise<void> {
  const ns = nvmeFindGetNs(ctrl, info.nsid);
  if (ns === null) {
    await tryAllocNs(ctrl, info, (unknown) => identifyNamespace(ctrl, unknown));
    return;
  }
  const status = await identifyNamespace(ctrl, info);
  if (status === 0) await nvmeValidateNs(ns, info);
  else await nvmeNsRemove(ns);
  await nvmePutNs(ns);
}

/** Identifiers and state of a namespace, in the era's order; NVMe status, or a negative errno. */
async function identifyNamespace(ctrl: Ctrl, info: NsInfo): Promise<number> {
  const { namespaceIdentify } = ctrl.core.era;
  if (namespaceIdentify !== 'descriptors-first') {
    const status = await nsInfoFromIdentify(ctrl, info);
    if (status === 0 && namespaceIdentify === 'then-descriptors') await nvmeIdentifyNsDescs(ctrl, info);
    return status;
  }
  const described = await nvmeIdentifyNsDescs(ctrl, info);
  if (described !== 0) return described;
  if (info.ids.csi !== NVME_CSI_NVM && !nvmeMultiCss(ctrl)) {
    ctrlLog(ctrl, 'warn', `command set not reported for nsid: ${info.nsid}`);
    return -Errno.ENODEV;
  }
  return await nsInfo(ctrl, info);
}

/** A namespace that cannot be added is left out; the others go on. */
async function tryAllocNs(ctrl: Ctrl, info: NsInfo, identify: Identify): Promise<void> {
  try {
    await nvmeAllocNs(ctrl, info, identify);
  } catch (error) {
    if (!KernelError.is(error)) throw error;
  }
}

async function removeByNsid(ctrl: Ctrl, nsid: number): Promise<void> {
  const ns = nvmeFindGetNs(ctrl, nsid);
  if (ns === null) return;
  await nvmeNsRemove(ns);
  await nvmePutNs(ns);
}

/** Gone for good, or only unreachable now? @kernel drivers/nvme/host/core.c nvme_validate_ns */
async function nvmeValidateNs(ns: Ns, info: NsInfo): Promise<void> {
  let status = NVME_SC_INVALID_NS | NVME_STATUS_DNR;
  if (nvmeNsIdsEqual(ns.ctrl.kernel.trace, ns.head.ids, info.ids)) status = await nvmeUpdateNsInfo(ns, info);
  else ctrlLog(ns.ctrl, 'err', `identifiers changed for nsid ${ns.nsid}`);
  if (info.removed || (status > 0 && status & NVME_STATUS_DNR)) await nvmeNsRemove(ns);
}

async function nsInfo(ctrl: Ctrl, info: NsInfo): Promise<number> {
  const { csi } = info.ids;
  if (CAP.CRIMS.get(ctrl.cap.lo, ctrl.cap.hi) === 1 || (csi !== NVME_CSI_NVM && csi !== NVME_CSI_ZNS)) {
    const status = await nsInfoFromIdCsIndep(ctrl, info);
    if (status === 0) return 0;
  }
  return await nsInfoFromIdentify(ctrl, info);
}

/** @kernel drivers/nvme/host/core.c nvme_ns_info_from_id_cs_indep */
async function nsInfoFromIdCsIndep(ctrl: Ctrl, info: NsInfo): Promise<number> {
  const { status, data } = await identify(ctrl, NVME_ID_CNS_NS_CS_INDEP, info.nsid);
  if (status !== 0) return status;
  const id = NvmeIdNsCsIndep.decode(data);
  info.shared = (id.nmic & NVME_NS_NMIC_SHARED) !== 0;
  info.anagrpid = id.anagrpid;
  info.readOnly = (id.nsattr & NVME_NS_ATTR_RO) !== 0;
  info.ready = (id.nstat & NVME_NSTAT_NRDY) !== 0;
  return 0;
}

/** @kernel drivers/nvme/host/core.c nvme_ns_info_from_identify */
async function nsInfoFromIdentify(ctrl: Ctrl, info: NsInfo): Promise<number> {
  const { status, id } = await nvmeIdentifyNs(ctrl, info.nsid);
  if (status !== 0) return status;
  if (id.ncap === 0) {
    info.removed = true;
    return -Errno.ENODEV;
  }
  if (ctrl.core.era.namespaceIdentify !== 'descriptors-first') info.identified = id;
  info.shared = ctrl.core.era.subsystems && (id.nmic & NVME_NS_NMIC_SHARED) !== 0;
  info.anagrpid = id.anagrpid;
  info.readOnly = (id.nsattr & NVME_NS_ATTR_RO) !== 0;
  info.ready = true;
  if (ctrl.quirks & NVME_QUIRK_BOGUS_NID) {
    ctrlLog(ctrl, 'info', 'Ignoring bogus Namespace Identifiers');
    return 0;
  }
  const { eui64, nguid } = info.ids;
  info.ids = {
    ...info.ids,
    eui64: ctrl.vs >= NVME_VS(1, 1, 0) && isZero(eui64) ? id.eui64 : eui64,
    nguid: ctrl.vs >= NVME_VS(1, 2, 0) && isZero(nguid) ? id.nguid : nguid,
  };
  return 0;
}

const DESCRIPTORS: {
  readonly [nidt: number]: { readonly key: keyof NsIds; readonly bytes: number; readonly name: string } | undefined;
} = {
  [NVME_NIDT_EUI64]: { key: 'eui64', bytes: 8, name: 'NVME_NIDT_EUI64' },
  [NVME_NIDT_NGUID]: { key: 'nguid', bytes: 16, name: 'NVME_NIDT_NGUID' },
  [NVME_NIDT_UUID]: { key: 'uuid', bytes: 16, name: 'NVME_NIDT_UUID' },
  [NVME_NIDT_CSI]: { key: 'csi', bytes: 1, name: 'NVME_NIDT_CSI' },
};

/** NVMe status, or a negative errno. @kernel drivers/nvme/host/core.c nvme_identify_ns_descs */
const nvmeIdentifyNsDescs = traced('nvme_identify_ns_descs', async (ctrl: Ctrl, info: NsInfo): Promise<number> => {
  if (!nvmeIdCnsOk(ctrl, NVME_ID_CNS_NS_DESC_LIST) || !hasDescriptors(ctrl)) return 0;
  const { status, data } = await identify(ctrl, NVME_ID_CNS_NS_DESC_LIST, info.nsid);
  if (status !== 0) {
    logDescriptorFailure(ctrl, info.nsid, status);
    return status;
  }
  let csiSeen = false;
  for (const { nidt, id } of decodeNsIdDescriptors(data)) {
    const known = DESCRIPTORS[nidt];
    if (known === undefined) continue;
    if (id.length !== known.bytes) {
      ctrlLog(ctrl, 'warn', `ctrl returned bogus length: ${id.length} for ${known.name}`);
      break;
    }
    if (known.key === 'csi') {
      csiSeen = true;
      info.ids = { ...info.ids, csi: id[0] };
    } else if ((ctrl.quirks & NVME_QUIRK_BOGUS_NID) === 0) info.ids = { ...info.ids, [known.key]: id };
  }
  if (!nvmeMultiCss(ctrl) || csiSeen) return 0;
  ctrlLog(ctrl, 'warn', `Command set not reported for nsid:${info.nsid}`);
  return -Errno.EINVAL;
});

function logDescriptorFailure(ctrl: Ctrl, nsid: number, status: number): void {
  if (ctrl.core.era.namespaceIdentify === 'then-descriptors')
    ctrlLog(ctrl, 'warn', 'nvme_revalidate_ns: Identify Descriptors failed');
  else ctrlLog(ctrl, 'warn', `Identify Descriptors failed (nsid=${nsid}, status=0x${hex(status >>> 0)})`);
}

function hasDescriptors(ctrl: Ctrl): boolean {
  return (nvmeMultiCss(ctrl) || ctrl.vs >= NVME_VS(1, 3, 0)) && (ctrl.quirks & NVME_QUIRK_NO_NS_DESC_LIST) === 0;
}
