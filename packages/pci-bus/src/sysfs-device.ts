/**
 * The files of a function's directory.
 * Kernel counterpart: drivers/pci/pci-sysfs.c.
 */
import type { Attribute, AttributeGroup } from '@nvme-stack/device-core/ports';
import { bitmapList, KernelError } from '@nvme-stack/kernel';
import { readConfig, writeConfig } from './access.js';
import { pciDisableDevice, pciEnableDeviceMem } from './enable.js';
import { PCI_RESOURCE_ROWS } from './pci-constants.js';
import { type PciDevice, pciLog } from './pci-device.js';
import { digitsOf, hex } from './pci-resource.js';
import { stateName } from './power.js';
import { pciStopAndRemoveBusDeviceLocked } from './remove.js';
import { chooseResetMethods, pciResetFunction, resetMethods } from './reset.js';
import { sriovAttributes } from './sriov.js';
import { linkAttributes } from './sysfs-link.js';

/** Files a function has from its discovery on. @kernel drivers/pci/pci-sysfs.c pci_dev_groups */
export function deviceGroups(pdev: PciDevice): AttributeGroup[] {
  const groups: AttributeGroup[] = [
    { attributes: [...identity(pdev), ...placement(pdev), ...control(pdev), ...actions(pdev)] },
  ];
  if (pdev.expressCap !== 0) groups.push({ attributes: linkAttributes(pdev) });
  // Files of ASPM stand here where a link has it; none does. @kernel drivers/pci/pcie/aspm.c aspm_ctrl_attr_group
  groups.push({ name: 'link', attributes: [] });
  if (pdev.sriov !== null) groups.push(sriovAttributes(pdev, pdev.sriov));
  return groups;
}

function readOnly(name: string, show: () => string): Attribute {
  return { name, mode: 0o444, show: () => `${show()}\n` };
}

/** `pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02`. */
export function modalias(pdev: PciDevice): string {
  const upper = (value: number, digits: number): string => digitsOf(value, digits).toUpperCase();
  const ids = `v${upper(pdev.vendor, 8)}d${upper(pdev.device, 8)}sv${upper(pdev.subsystemVendor, 8)}sd${upper(pdev.subsystemDevice, 8)}`;
  const base = upper(pdev.class >>> 16, 2);
  return `pci:${ids}bc${base}sc${upper((pdev.class >>> 8) & 0xff, 2)}i${upper(pdev.class & 0xff, 2)}`;
}

function identity(pdev: PciDevice): Attribute[] {
  return [
    readOnly('vendor', () => hex(pdev.vendor, 4)),
    readOnly('device', () => hex(pdev.device, 4)),
    readOnly('subsystem_vendor', () => hex(pdev.subsystemVendor, 4)),
    readOnly('subsystem_device', () => hex(pdev.subsystemDevice, 4)),
    readOnly('revision', () => hex(pdev.revision, 2)),
    readOnly('class', () => hex(pdev.class, 6)),
    readOnly('modalias', () => modalias(pdev)),
    { name: 'config', mode: 0o644, show: () => configText(pdev), store: (text) => writeConfigText(pdev, text) },
  ];
}

/** Configuration space as the binary file holds it, one character a byte. */
function configText(pdev: PciDevice): string {
  const size = pdev.expressCap === 0 ? 256 : 4096;
  const characters: string[] = [];
  for (let offset = 0; offset < size; offset += 4) {
    const dword = readConfig(pdev, offset, 4);
    for (let shift = 0; shift < 32; shift += 8) characters.push(String.fromCharCode((dword >>> shift) & 0xff));
  }
  return characters.join('');
}

function writeConfigText(pdev: PciDevice, text: string): void {
  for (let offset = 0; offset < text.length; offset++) writeConfig(pdev, offset, text.charCodeAt(offset) & 0xff, 1);
}

/** One line each for BARs, ROM and virtual functions' BARs. @kernel drivers/pci/pci-sysfs.c resource_show */
function resourceText(pdev: PciDevice): string {
  const lines: string[] = [];
  for (let row = 0; row < PCI_RESOURCE_ROWS; row++) {
    const bar = row < 6 ? pdev.bars[row] : (pdev.sriov?.bars[row - 7] ?? null);
    const placed = bar !== null && bar !== undefined && bar.resource !== null;
    const [start, end, flags] = placed ? [bar.start, bar.start + bar.sizeBytes - 1, bar.flags] : [0, 0, 0];
    lines.push(`${hex(start, 16)} ${hex(end, 16)} ${hex(flags, 16)}`);
  }
  return lines.join('\n');
}

function localCpus(pdev: PciDevice): number[] {
  const { kernel } = pdev;
  const node = pdev.dev.numaNode;
  const all = Array.from({ length: kernel.nrCpus }, (_, cpu) => cpu);
  return node < 0 ? all : all.filter((cpu) => kernel.cpuToNode(cpu) === node);
}

/** `ff` or `00000001,ffffffff`: a mask in words of 32 CPUs, the highest first. */
function cpuMask(cpus: readonly number[], nrCpus: number): string {
  const words: string[] = [];
  for (let base = Math.floor((nrCpus - 1) / 32) * 32; base >= 0; base -= 32) {
    let word = 0;
    for (const cpu of cpus) if (cpu >= base && cpu < base + 32) word += 2 ** (cpu - base);
    words.push(digitsOf(word, Math.floor((Math.min(32, nrCpus - base) + 3) / 4)));
  }
  return words.join(',');
}

/** For firmware that names no node, or the wrong one. Throws EINVAL. @kernel drivers/pci/pci-sysfs.c numa_node_store */
function storeNumaNode(pdev: PciDevice, text: string): void {
  const node = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(node >= -1 && node < pdev.kernel.nrNodes)) {
    throw new KernelError('EINVAL', `numa_node "${text}"; allowed: -1 or a node below ${pdev.kernel.nrNodes}`);
  }
  pciLog(pdev, 'alert', `[Firmware Bug]: Overriding NUMA node to ${node}.  Contact your vendor for updates.`);
  pdev.dev.numaNode = node;
}

function placement(pdev: PciDevice): Attribute[] {
  const bars = pdev.bars.flatMap((bar) => (bar === null ? [] : [{ name: `resource${bar.index}`, mode: 0o600 }]));
  return [
    readOnly('resource', () => resourceText(pdev)),
    ...bars,
    readOnly('irq', () => `${pdev.msiEnabled ? pdev.msi?.irqs[0] : pdev.irq}`),
    readOnly('local_cpus', () => cpuMask(localCpus(pdev), pdev.kernel.nrCpus)),
    readOnly('local_cpulist', () => bitmapList(localCpus(pdev))),
    {
      name: 'numa_node',
      mode: 0o644,
      show: () => `${pdev.dev.numaNode}\n`,
      store: (text) => storeNumaNode(pdev, text.trim()),
    },
    readOnly('dma_mask_bits', () => `${pdev.dev.dma?.dmaMaskBits ?? 32}`),
    readOnly('consistent_dma_mask_bits', () => `${pdev.dev.dma?.coherentDmaMaskBits ?? 32}`),
  ];
}

/** `0` or `1`; EINVAL for anything else. @kernel lib/kstrtox.c kstrtobool */
export function parseFlag(name: string, text: string): boolean {
  const trimmed = text.trim();
  if (trimmed !== '0' && trimmed !== '1') throw new KernelError('EINVAL', `${name} "${trimmed}"; allowed: 0, 1`);
  return trimmed === '1';
}

function control(pdev: PciDevice): Attribute[] {
  return [
    { name: 'enable', mode: 0o644, show: () => `${pdev.enableCount}\n`, store: (text) => enableStore(pdev, text) },
    flag(
      'broken_parity_status',
      () => pdev.brokenParityStatus,
      (on) => {
        pdev.brokenParityStatus = on;
      },
    ),
    flag(
      'msi_bus',
      () => pdev.msiAllowed,
      (on) => {
        pdev.msiAllowed = on;
      },
    ),
    flag(
      'd3cold_allowed',
      () => pdev.d3coldAllowed,
      (on) => {
        pdev.d3coldAllowed = on;
      },
    ),
    readOnly('ari_enabled', () => '0'),
    readOnly('power_state', () => stateName(pdev.currentState)),
    {
      name: 'driver_override',
      mode: 0o644,
      show: () => `${pdev.driverOverride ?? '(null)'}\n`,
      store: (text) => {
        const name = text.split('\n')[0] as string;
        pdev.driverOverride = name === '' ? null : name;
      },
    },
  ];
}

function flag(name: string, get: () => boolean, set: (on: boolean) => void): Attribute {
  return { name, mode: 0o644, show: () => `${get() ? 1 : 0}\n`, store: (text) => set(parseFlag(name, text)) };
}

/** @kernel drivers/pci/pci-sysfs.c enable_store */
async function enableStore(pdev: PciDevice, text: string): Promise<void> {
  const on = parseFlag('enable', text);
  if (pdev.dev.driver !== null) throw new KernelError('EBUSY', `${pdev.name} belongs to ${pdev.dev.driver.name}`);
  if (on) await pciEnableDeviceMem(pdev);
  else if (pdev.enableCount > 0) pciDisableDevice(pdev);
  else throw new KernelError('EIO', `${pdev.name} is not enabled`);
}

function actions(pdev: PciDevice): Attribute[] {
  const found: Attribute[] = [
    {
      name: 'remove',
      mode: 0o220,
      removesItself: true,
      store: async (text) => {
        if (parseFlag('remove', text)) await pciStopAndRemoveBusDeviceLocked(pdev);
      },
    },
    {
      name: 'rescan',
      mode: 0o200,
      store: async (text) => {
        if (parseFlag('rescan', text)) await pdev.subsystem.rescan();
      },
    },
  ];
  if (resetMethods(pdev).length === 0) return found;
  found.push(
    {
      name: 'reset',
      mode: 0o200,
      store: async (text) => {
        if (!parseFlag('reset', text)) throw new KernelError('EINVAL', 'reset "0"; allowed: 1');
        await pciResetFunction(pdev);
      },
    },
    {
      name: 'reset_method',
      mode: 0o644,
      show: () => `${resetMethods(pdev).join(' ')}\n`,
      store: (text) => chooseResetMethods(pdev, text),
    },
  );
  return found;
}
