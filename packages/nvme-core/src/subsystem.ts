/**
 * NVM subsystems: controllers that share a name share a subsystem and its namespace heads.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_init_subsystem, nvme_init_subnqn, nvme_subsys_check_duplicate_ids.
 */
import type { Attribute, Device } from '@nvme-stack/device-core/ports';
import { type HasKernel, type Kernel, KernelError, Mutex, withMutex } from '@nvme-stack/kernel';
import { NVME_CTRL_CMIC_MULTI_CTRL, NVME_VS, NVMF_NQN_SIZE, type NvmeIdCtrl } from '@nvme-stack/nvme-protocol';
import type { CoreState } from './core.js';
import type { Ctrl } from './ctrl.js';
import { Ida } from './ida.js';
import { ctrlLog, hex } from './log.js';
import type { PolicyName } from './module-params.js';
import { ioPolicyFile, nvmeMpathDefaultIopolicy } from './multipath/io-policy.js';
import type { NsHead } from './namespace-head.js';
import { NVME_QUIRK_IGNORE_DEV_SUBNQN } from './ports.js';
import { nvmeStateTerminal } from './state.js';

/** Identify Controller, decoded. */
export type IdCtrl = ReturnType<typeof NvmeIdCtrl.decode>;

/** CNTRLTYPE of a discovery controller. */
const NVME_CTRL_DISC = 2;

/** @kernel drivers/nvme/host/nvme.h nvme_subsystem */
export class Subsystem implements HasKernel {
  readonly kernel: Kernel;
  readonly core: CoreState;
  readonly instance: number;
  readonly lock: Mutex;
  readonly nqn: string;
  readonly serial: string;
  readonly model: string;
  firmwareRev: string;
  readonly vendorId: number;
  readonly cmic: number;
  readonly awupf: number;
  readonly type: 'nvm' | 'discovery';
  readonly ctrls: Ctrl[] = [];
  readonly heads: NsHead[] = [];
  readonly nsInstances = new Ida();
  /** How a path is chosen among several. */
  ioPolicy: PolicyName = 'numa';
  device!: Device;

  constructor(ctrl: Ctrl, id: IdCtrl, nqn: string) {
    this.kernel = ctrl.kernel;
    this.core = ctrl.core;
    this.instance = ctrl.instance;
    this.lock = new Mutex(ctrl.kernel, `nvme-subsys${ctrl.instance} lock`);
    this.nqn = nqn;
    this.serial = id.sn;
    this.model = id.mn;
    this.firmwareRev = id.fr;
    this.vendorId = id.vid;
    this.cmic = id.cmic;
    this.awupf = id.awupf;
    this.type = id.cntrltype === NVME_CTRL_DISC ? 'discovery' : 'nvm';
  }
}

/** The controller's name for its subsystem, or one made of its identity. @kernel drivers/nvme/host/core.c nvme_init_subnqn */
function subsystemNqn(ctrl: Ctrl, id: IdCtrl): string {
  if ((ctrl.quirks & NVME_QUIRK_IGNORE_DEV_SUBNQN) === 0) {
    if (id.subnqn.length > 0 && id.subnqn.length < NVMF_NQN_SIZE) return id.subnqn;
    if (ctrl.core.era.readsSubnqn && ctrl.vs >= NVME_VS(1, 2, 1))
      ctrlLog(ctrl, 'warn', 'missing or invalid SUBNQN field.');
  }
  return `nqn.2014.08.org.nvmexpress:${hex(id.vid, 4)}${hex(id.ssvid, 4)}${id.sn}${id.mn}`;
}

/** Finds or makes the controller's subsystem and links the two. Throws EINVAL. Task context. @kernel drivers/nvme/host/core.c nvme_init_subsystem */
export async function nvmeInitSubsystem(ctrl: Ctrl, id: IdCtrl): Promise<void> {
  const { core } = ctrl;
  const nqn = subsystemNqn(ctrl, id);
  const made = new Subsystem(ctrl, id, nqn);
  if (!core.era.subsystems) {
    takeAlone(ctrl, made);
    return;
  }
  if (core.era.multipath !== null) nvmeMpathDefaultIopolicy(made);
  await withMutex(core.subsystemsLock, async () => {
    let subsys = core.subsystems.find((candidate) => candidate.nqn === nqn && candidate.type === 'nvm');
    if (subsys === undefined) subsys = await addSubsystem(core, ctrl, made);
    else nvmeValidateCntlid(subsys, ctrl, id);
    core.deviceCore.sysfsCreateLink(subsys.device.kobj, ctrl.name, ctrl.device.kobj);
    subsys.ctrls.push(ctrl);
    ctrl.subsys = subsys;
    ctrl.subsysNqn = subsys.nqn;
  });
}

/** Kernels before 4.15 know no subsystems: nothing is shared or seen. */
function takeAlone(ctrl: Ctrl, subsys: Subsystem): void {
  subsys.ctrls.push(ctrl);
  ctrl.subsys = subsys;
  ctrl.subsysNqn = subsys.nqn;
}

async function addSubsystem(core: CoreState, ctrl: Ctrl, subsys: Subsystem): Promise<Subsystem> {
  const { deviceCore } = core;
  subsys.device = deviceCore.deviceInitialize({
    name: `nvme-subsys${ctrl.instance}`,
    parent: null,
    container: subsys,
    class: core.subsystemClass,
    groups: [{ attributes: subsystemAttributes(subsys) }],
  });
  try {
    await deviceCore.deviceAdd(subsys.device);
  } catch (error) {
    ctrlLog(ctrl, 'err', 'failed to register subsystem device.');
    deviceCore.putDevice(subsys.device);
    throw error;
  }
  core.subsystems.push(subsys);
  return subsys;
}

function subsystemAttributes(subsys: Subsystem): Attribute[] {
  const shown = (name: string, text: () => string) => ({ name, mode: 0o444, show: () => `${text()}\n` });
  const attributes = [
    shown('model', () => subsys.model),
    shown('serial', () => subsys.serial),
    shown('firmware_rev', () => subsys.firmwareRev),
    shown('subsysnqn', () => subsys.nqn),
    shown('subsystype', () => subsys.type),
  ];
  return subsys.core.era.multipath === null ? attributes : [...attributes, ioPolicyFile(subsys)];
}

/** @kernel drivers/nvme/host/core.c nvme_validate_cntlid */
function nvmeValidateCntlid(subsys: Subsystem, ctrl: Ctrl, id: IdCtrl): void {
  for (const other of subsys.ctrls) {
    if (nvmeStateTerminal(other)) continue;
    if (other.cntlid === ctrl.cntlid) {
      ctrlLog(ctrl, 'err', `Duplicate cntlid ${ctrl.cntlid} with ${other.name}, subsys ${subsys.nqn}, rejecting`);
      throw new KernelError('EINVAL', `${ctrl.name}: duplicate cntlid`);
    }
    if (id.cmic & NVME_CTRL_CMIC_MULTI_CTRL || subsys.type === 'discovery') continue;
    ctrlLog(ctrl, 'err', 'Subsystem does not support multiple controllers');
    throw new KernelError('EINVAL', `${ctrl.name}: subsystem takes one controller`);
  }
}

/** The controller leaves; the last one takes the subsystem along. Task context. @kernel drivers/nvme/host/core.c nvme_free_ctrl, nvme_destroy_subsystem */
export async function nvmeLeaveSubsystem(ctrl: Ctrl): Promise<void> {
  const { subsys, core } = ctrl;
  if (subsys === null) return;
  if (!core.era.subsystems) {
    ctrl.subsys = null;
    return;
  }
  await withMutex(core.subsystemsLock, async () => {
    ctrl.subsys = null;
    subsys.ctrls.splice(subsys.ctrls.indexOf(ctrl), 1);
    core.deviceCore.sysfsRemoveLink(subsys.device.kobj, ctrl.name);
    if (subsys.ctrls.length > 0) {
      // Its number is the subsystem's as well.
      if (ctrl.instance === subsys.instance) ctrl.keepsInstance = true;
      return;
    }
    if (ctrl.instance !== subsys.instance) core.instances.free(subsys.instance);
    core.subsystems.splice(core.subsystems.indexOf(subsys), 1);
    await core.deviceCore.deviceDel(subsys.device);
    core.deviceCore.putDevice(subsys.device);
  });
}
