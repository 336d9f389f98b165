/**
 * Attributes of a controller below /sys/class/nvme.
 * Kernel counterpart: drivers/nvme/host/sysfs.c nvme_dev_attrs. Fabrics' attributes are not there.
 */
import type { Attribute, AttributeGroup } from '@nvme-stack/device-core/ports';
import { KernelError } from '@nvme-stack/kernel';
import type { Ctrl } from './ctrl.js';
import { NVME_CTRL_STATE_NAMES } from './ports.js';
import { nvmeQueueScan } from './scan.js';
import { nvmeResetCtrlSync } from './state.js';

const CNTRL_TYPES: { readonly [type: number]: string | undefined } = { 1: 'io', 2: 'discovery', 3: 'admin' };
const DC_TYPES: { readonly [type: number]: string | undefined } = { 0: 'none', 1: 'ddc', 2: 'cdc' };

/** @kernel lib/kstrtox.c kstrtobool */
function kstrtobool(name: string, text: string): boolean {
  const word = text.trim().toLowerCase();
  if (/^([yt1]|on)/.test(word)) return true;
  if (/^([nf0]|of)/.test(word)) return false;
  throw new KernelError('EINVAL', `${name}: '${word}' is neither on nor off`);
}

/** `passthru_err_log_enabled`, of a controller's admin commands or a namespace's I/O commands. Throws EINVAL. @kernel drivers/nvme/host/sysfs.c nvme_adm_passthru_err_log_enabled_store, nvme_io_passthru_err_log_enabled_store */
export function onOffFile(name: string, holder: { passthruErrLogEnabled: boolean }): Attribute {
  return {
    name,
    mode: 0o644,
    show: () => (holder.passthruErrLogEnabled ? 'on\n' : 'off\n'),
    store: (text) => {
      holder.passthruErrLogEnabled = kstrtobool(name, text);
    },
  };
}

/** @kernel drivers/nvme/host/sysfs.c nvme_dev_attrs_group */
export function ctrlAttributeGroup(ctrl: Ctrl): AttributeGroup {
  const shown = (name: string, text: () => string | number): Attribute => ({
    name,
    mode: 0o444,
    show: () => `${text()}\n`,
  });
  const trigger = (name: string, store: () => Promise<void> | void): Attribute => ({ name, mode: 0o200, store });
  const attributes = [
    trigger('reset_controller', async () => await nvmeResetCtrlSync(ctrl)),
    trigger('rescan_controller', () => nvmeQueueScan(ctrl)),
    shown('model', () => ctrl.model),
    shown('serial', () => ctrl.serial),
    shown('firmware_rev', () => ctrl.firmwareRev),
    shown('cntlid', () => ctrl.cntlid),
    shown('transport', () => ctrl.ops.name),
    shown('subsysnqn', () => ctrl.subsysNqn),
    shown('address', () => ctrl.ops.getAddress(ctrl)),
    shown('state', () => NVME_CTRL_STATE_NAMES[ctrl.state]),
    shown('numa_node', () => ctrl.numaNode),
    shown('queue_count', () => ctrl.queueCount),
    shown('sqsize', () => ctrl.sqsize),
    shown('kato', () => ctrl.kato),
    shown('cntrltype', () => CNTRL_TYPES[ctrl.cntrltype] ?? 'reserved'),
    shown('dctype', () => DC_TYPES[ctrl.dctype] ?? 'reserved'),
  ];
  if (ctrl.core.era.passthruErrLog) attributes.push(onOffFile('passthru_err_log_enabled', ctrl));
  const { laterCtrlFiles } = ctrl.core.era;
  return { attributes, isVisible: ({ name }) => !laterCtrlFiles.includes(name) };
}
