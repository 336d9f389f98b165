/**
 * Who made the machine and its board, as firmware tells: what quirks are looked up by, and files below /sys/class/dmi/id.
 * Kernel counterpart: drivers/firmware/dmi_scan.c dmi_match; drivers/firmware/dmi-id.c.
 */
import { type Kernel, traced } from '@nvme-stack/kernel';
import { DEVICE_CORE_ERAS } from './eras.js';
import type { Attribute, DeviceClass, DeviceCore, Dmi, DmiField, DmiIdentity } from './ports.js';

/** Names of the files; a field that firmware leaves empty has none. @kernel drivers/firmware/dmi-id.c dmi_id_init_attr_table */
const FILES: readonly (readonly [field: DmiField, name: string])[] = [
  ['sysVendor', 'sys_vendor'],
  ['productName', 'product_name'],
  ['productFamily', 'product_family'],
  ['boardVendor', 'board_vendor'],
  ['boardName', 'board_name'],
];

/** What a machine's identity needs. */
export interface DmiDeps {
  readonly kernel: Kernel;
  readonly deviceCore: DeviceCore;
}

/** The identity of one machine; without any field the machine has no DMI, and `dmiIdInit` makes nothing. */
export function createDmi({ kernel, deviceCore }: DmiDeps, identity: DmiIdentity): Dmi {
  const unknown = DEVICE_CORE_ERAS[kernel.profile].unknownDmiFields;
  const known = (field: DmiField): string | undefined => (unknown.includes(field) ? undefined : identity[field]);
  const dmiIdInit = traced('dmi_id_init', async (core: DeviceCore): Promise<void> => {
    const attributes = FILES.flatMap(([field, name]): Attribute[] => {
      const text = known(field);
      return text === undefined ? [] : [{ name, mode: 0o444, show: () => `${text}\n` }];
    });
    const dmiClass: DeviceClass = { name: 'dmi' };
    core.classRegister(dmiClass);
    const groups = [{ attributes }];
    await core.deviceAdd(
      core.deviceInitialize({ name: 'id', parent: null, container: identity, class: dmiClass, groups }),
    );
  });
  return {
    match: (field, text) => known(field) === text,
    dmiIdInit: async () => {
      if (FILES.some(([field]) => known(field) !== undefined)) await dmiIdInit(deviceCore);
    },
  };
}
