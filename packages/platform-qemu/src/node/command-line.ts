/** QEMU's command line, from what it is started with. */
import { join } from 'node:path';
import type { QemuDevice } from '../ports.js';
import { BELL_SLOT } from '../ports.js';
import { portName } from '../root-slots.js';
import { MEDIUM, type QemuController, type QemuNamespace, type QemuOptions, type QemuProperties } from './options.js';

const DEFAULT_RAM_MIB = 256;
const DEFAULT_BELLS = 4;

/** A command line, and what stands where. */
export interface CommandLine {
  readonly args: readonly string[];
  /** Media to make before the start: a file in the folder, and its size. */
  readonly media: readonly { readonly path: string; readonly sizeBytes: number }[];
  readonly devices: readonly QemuDevice[];
  readonly rootPorts: readonly number[];
  readonly ramBytes: number;
  readonly bells: number;
}

/** Builds it; everything that needs a name on disk lies in `folder`. */
export function commandLine(options: QemuOptions, folder: string): CommandLine {
  const ramMiB = options.ramMiB ?? DEFAULT_RAM_MIB;
  const bells = options.bells ?? DEFAULT_BELLS;
  const media: { path: string; sizeBytes: number }[] = [];
  const { controllers } = options;
  const rootPorts = [
    ...controllers.filter((one) => one.behindPort).map((one) => one.slot),
    ...(options.emptyPorts ?? []),
  ];
  const nodes = controllers.flatMap((controller, index) =>
    controller.namespaces.flatMap((namespace, at) => blockNode(namespace, nodeName(index, at), folder, media)),
  );
  const args = [
    ...['-machine', 'q35,memory-backend=ram', '-accel', 'tcg', '-S', '-m', `${ramMiB}M`],
    ...['-object', `memory-backend-file,id=ram,size=${ramMiB}M,share=on,mem-path=${join(folder, 'ram')}`],
    ...['-display', 'none', '-nodefaults', '-no-user-config', '-serial', 'none'],
    ...['-qtest', `pipe:${join(folder, 'q')}`, '-qtest-log', 'none'],
    ...['-chardev', `pipe,id=monitor,path=${join(folder, 'm')}`, '-mon', 'chardev=monitor,mode=control'],
    // Without it the firmware's hot-plug would stand before the root ports' own.
    ...['-global', 'ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off'],
    ...(options.trace ?? []).flatMap((pattern) => ['-trace', pattern]),
    ...['-D', join(folder, 'log')],
    ...bellDevices(bells),
    ...rootPorts.flatMap((slot) => [
      '-device',
      device({ driver: 'pcie-root-port', id: portName(slot), chassis: slot, slot, addr: hex(slot) }),
    ]),
    ...subsystems(controllers),
    ...nodes,
    ...controllers.flatMap(nvmeDevices),
    ...(options.arguments ?? []),
  ];
  const devices = controllers.map(({ slot, behindPort = false }, index) => ({ id: `nvme${index}`, slot, behindPort }));
  return { args, media, devices, rootPorts, ramBytes: ramMiB << 20, bells };
}

const hex = (value: number): string => `0x${value.toString(16)}`;
/** A device and its properties in the command line's own notation, which takes every type as text. */
function device({ driver, ...properties }: { readonly driver: string } & QemuProperties): string {
  const text = (value: string | number | boolean): string => {
    if (typeof value === 'boolean') return value ? 'on' : 'off';
    return String(value).replaceAll(',', ',,');
  };
  return [driver, ...Object.entries(properties).map(([name, value]) => `${name}=${text(value)}`)].join(',');
}
const nodeName = (controller: number, namespace: number): string => `node${controller}n${namespace}`;

function bellDevices(bells: number): string[] {
  return Array.from({ length: bells }, (_, fn) => [
    '-device',
    device({ driver: 'edu', addr: `${hex(BELL_SLOT)}.${fn}`, ...(fn === 0 ? { multifunction: true } : {}) }),
  ]).flat();
}

function subsystems(controllers: readonly QemuController[]): string[] {
  const names = new Set(controllers.flatMap(({ subsystem }) => (subsystem === undefined ? [] : [subsystem])));
  return [...names].flatMap((nqn) => ['-device', device({ driver: 'nvme-subsys', id: nqn, nqn })]);
}

function blockNode(
  namespace: QemuNamespace,
  name: string,
  folder: string,
  media: { path: string; sizeBytes: number }[],
): string[] {
  const { file, sizeBytes, readOnly = false } = namespace;
  const path = file ?? join(folder, name);
  if (file === undefined && sizeBytes !== undefined) media.push({ path, sizeBytes });
  const raw = { driver: 'raw', discard: 'unmap', file: { driver: 'file', filename: MEDIUM, discard: 'unmap' } };
  const node = { ...(namespace.node ?? raw), 'node-name': name, ...(readOnly ? { 'read-only': true } : {}) };
  const text = JSON.stringify(node, (_key, value: unknown) => (value === MEDIUM ? path : value));
  return ['-blockdev', text];
}

/** A controller's only namespace hangs on the controller itself, as with `-device nvme,drive=…`; several stand beside it. */
function nvmeDevices(controller: QemuController, index: number): string[] {
  const { slot, behindPort = false, namespaces, subsystem } = controller;
  const id = `nvme${index}`;
  const [first] = namespaces;
  const isFirst = first !== undefined && namespaces.length === 1 && (first.nsid ?? 1) === 1;
  const alone = isFirst && first.ownDevice !== true && subsystem === undefined;
  const nvme = {
    driver: 'nvme',
    id,
    serial: controller.serial ?? `nvme-stack-${index}`,
    ...(behindPort ? { bus: portName(slot) } : { addr: hex(slot) }),
    ...(subsystem === undefined ? {} : { subsys: subsystem }),
    ...(alone ? { drive: nodeName(index, 0), ...first.properties } : {}),
    ...controller.properties,
  };
  const others = alone ? [] : namespaces;
  return [
    ...['-device', device(nvme)],
    ...others.flatMap(({ nsid, properties }, at) => [
      '-device',
      device({
        driver: 'nvme-ns',
        drive: nodeName(index, at),
        bus: id,
        ...(nsid === undefined ? {} : { nsid }),
        ...properties,
      }),
    ]),
  ];
}
