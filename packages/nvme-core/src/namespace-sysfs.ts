/**
 * Attributes of a namespace's disk.
 * Kernel counterpart: drivers/nvme/host/sysfs.c nvme_ns_attrs, wwid_show.
 */
import type { Attribute, AttributeGroup } from '@nvme-stack/device-core/ports';
import { onOffFile } from './ctrl-sysfs.js';
import { ctrlWarnOnce, hex, hexBytes } from './log.js';
import type { Ns } from './namespace.js';
import { isZero } from './namespace-head.js';
import { nvmeIdentifyNs } from './namespace-update.js';
import { throwErrno } from './status-map.js';

/** NUSE is asked for at most so often. @kernel drivers/nvme/host/nvme.h nvme_ns_head.rs_nuse */
const NUSE_INTERVAL_NS = 5e9;

/** Text as the wire has it, without the padding at its end, as bytes. */
function trimmedHex(text: string): string {
  const trimmed = text.replace(/[ \0]+$/, '');
  let out = '';
  for (let i = 0; i < trimmed.length; i++) out += hex(trimmed.charCodeAt(i) & 0xff, 2);
  return out;
}

/** `%pU`. */
function uuidText(uuid: Uint8Array): string {
  const digits = hexBytes(uuid);
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join(
    '-',
  );
}

/** A name that is the same wherever the namespace is seen. @kernel drivers/nvme/host/sysfs.c wwid_show */
export function wwid(ns: Ns): string {
  const { ids, subsys, nsid } = ns.head;
  if (!isZero(ids.uuid)) return `uuid.${uuidText(ids.uuid)}`;
  if (!isZero(ids.nguid)) return `eui.${hexBytes(ids.nguid)}`;
  if (!isZero(ids.eui64)) return `eui.${hexBytes(ids.eui64)}`;
  return `nvme.${hex(subsys.vendorId, 4)}-${trimmedHex(subsys.serial)}-${trimmedHex(subsys.model)}-${hex(nsid, 8)}`;
}

/** @kernel drivers/nvme/host/sysfs.c ns_update_nuse */
async function nsUpdateNuse(ns: Ns): Promise<void> {
  const now = ns.kernel.ex.now();
  if (ns.head.nuseAtNs >= 0 && now - ns.head.nuseAtNs < NUSE_INTERVAL_NS) return;
  ns.head.nuseAtNs = now;
  const { status, id } = await nvmeIdentifyNs(ns.ctrl, ns.nsid);
  if (status < 0) throwErrno(status, `${ns.disk.name}: nuse`);
  if (status === 0) ns.nuse = id.nuse;
}

/** The files; those without a value are not there. @kernel drivers/nvme/host/sysfs.c nvme_ns_attr_group */
export function namespaceAttributeGroup(ns: Ns): AttributeGroup {
  const { ids } = ns.head;
  const { era } = ns.ctrl.core;
  const hidden = new Set<string>();
  const shown = (name: string, visible: boolean, text: () => string | number): Attribute => {
    if (!visible) hidden.add(name);
    return { name, mode: 0o444, show: () => `${text()}\n` };
  };
  const uuidOrNguid = (): string => {
    if (!isZero(ids.uuid)) return uuidText(ids.uuid);
    ctrlWarnOnce(ns.ctrl, 'nguid', 'No UUID available providing old NGUID');
    return uuidText(ids.nguid);
  };
  const attributes = [
    shown('wwid', true, () => wwid(ns)),
    shown('uuid', !isZero(ids.uuid) || !isZero(ids.nguid), uuidOrNguid),
    shown('nguid', !isZero(ids.nguid), () => uuidText(ids.nguid)),
    shown('eui', !isZero(ids.eui64), () => hexBytes(ids.eui64).replace(/(..)(?=.)/g, '$1 ')),
    shown('csi', era.nsUsageAttributes, () => ids.csi),
    shown('nsid', true, () => ns.nsid),
    shown('metadata_bytes', era.nsUsageAttributes, () => ns.metadataBytes),
    { ...shown('nuse', era.nsUsageAttributes, () => ns.nuse), fetch: async () => await nsUpdateNuse(ns) },
  ];
  if (era.passthruErrLog) attributes.push(onOffFile('passthru_err_log_enabled', ns.head));
  return { attributes, isVisible: ({ name }) => !hidden.has(name) && !era.laterNamespaceFiles.includes(name) };
}
