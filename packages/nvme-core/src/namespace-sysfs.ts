/**
 * Attributes of a namespace's disk.
 * Kernel counterpart: drivers/nvme/host/sysfs.c nvme_ns_attrs, wwid_show.
 */
import type { Attribute, AttributeGroup } from '@nvme-stack/device-core/ports';
import { KernelError } from '@nvme-stack/kernel';
import { onOffFile } from './ctrl-sysfs.js';
import { ctrlWarnOnce, hex, hexBytes } from './log.js';
import { anaFiles, nvmeCtrlUseAna } from './multipath/ana.js';
import { nvmeFindPath } from './multipath/paths.js';
import type { Ns } from './namespace.js';
import { isZero, type NsHead, type NsIds } from './namespace-head.js';
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
export function wwid({ ids, subsys, nsid }: NsHead): string {
  if (!isZero(ids.uuid)) return `uuid.${uuidText(ids.uuid)}`;
  if (!isZero(ids.nguid)) return `eui.${hexBytes(ids.nguid)}`;
  if (!isZero(ids.eui64)) return `eui.${hexBytes(ids.eui64)}`;
  return `nvme.${hex(subsys.vendorId, 4)}-${trimmedHex(subsys.serial)}-${trimmedHex(subsys.model)}-${hex(nsid, 8)}`;
}

/** @kernel drivers/nvme/host/sysfs.c ns_update_nuse */
async function nsUpdateNuse(ns: Ns | null): Promise<void> {
  if (ns === null) throw new KernelError('EAGAIN', 'nuse: no path');
  const now = ns.kernel.ex.now();
  if (ns.head.nuseAtNs >= 0 && now - ns.head.nuseAtNs < NUSE_INTERVAL_NS) return;
  ns.head.nuseAtNs = now;
  const { status, id } = await nvmeIdentifyNs(ns.ctrl, ns.nsid);
  if (status < 0) throwErrno(status, `${ns.disk.name}: nuse`);
  if (status === 0) ns.nuse = id.nuse;
}

/** @kernel drivers/nvme/host/sysfs.c nvme_ns_attrs_are_visible */
const HAS_UUID_FILE: Readonly<Record<'either' | 'both' | 'nguid', (ids: NsIds) => boolean>> = {
  either: ({ uuid, nguid }) => !isZero(uuid) || !isZero(nguid),
  both: ({ uuid, nguid }) => !isZero(uuid) && !isZero(nguid),
  nguid: ({ nguid }) => !isZero(nguid),
};

/** The files of a namespace's disk. @kernel drivers/nvme/host/sysfs.c nvme_ns_attr_group */
export function namespaceAttributeGroup(ns: Ns): AttributeGroup {
  return attributeGroup(ns.head, () => ns, nvmeCtrlUseAna(ns.ctrl) && ns.head.disk !== null ? anaFiles(ns) : []);
}

/** The files of a head's disk, which asks a path. @kernel drivers/nvme/host/sysfs.c nvme_ns_attr_group */
export function headAttributeGroup(head: NsHead): AttributeGroup {
  return attributeGroup(head, () => nvmeFindPath(head) ?? head.siblings[0] ?? null, []);
}

/** Those without a value are not there. */
function attributeGroup(head: NsHead, path: () => Ns | null, more: readonly Attribute[]): AttributeGroup {
  const { ids } = head;
  const { era } = head.core;
  const hidden = new Set<string>();
  const shown = (name: string, visible: boolean, text: () => string | number): Attribute => {
    if (!visible) hidden.add(name);
    return { name, mode: 0o444, show: () => `${text()}\n` };
  };
  const uuidOrNguid = (): string => {
    if (!isZero(ids.uuid)) return uuidText(ids.uuid);
    if (era.uuidFile === 'either') warnOfNguid(path());
    return uuidText(ids.nguid);
  };
  const attributes = [
    shown('wwid', true, () => wwid(head)),
    shown('uuid', HAS_UUID_FILE[era.uuidFile](ids), uuidOrNguid),
    shown('nguid', !isZero(ids.nguid), () => uuidText(ids.nguid)),
    shown('eui', !isZero(ids.eui64), () => hexBytes(ids.eui64).replace(/(..)(?=.)/g, '$1 ')),
    shown('csi', era.nsUsageAttributes, () => ids.csi),
    shown('nsid', true, () => head.nsid),
    shown('metadata_bytes', era.nsUsageAttributes, () => path()?.metadataBytes ?? 0),
    { ...shown('nuse', era.nsUsageAttributes, () => path()?.nuse ?? 0), fetch: async () => await nsUpdateNuse(path()) },
    ...more,
  ];
  if (era.passthruErrLog) attributes.push(onOffFile('passthru_err_log_enabled', head));
  return { attributes, isVisible: ({ name }) => !hidden.has(name) && !era.laterNamespaceFiles.includes(name) };
}

function warnOfNguid(ns: Ns | null): void {
  if (ns !== null) ctrlWarnOnce(ns.ctrl, 'nguid', 'No UUID available providing old NGUID');
}
