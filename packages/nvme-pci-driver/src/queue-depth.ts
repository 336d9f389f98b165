/**
 * How deep the I/O queues are: what the controller allows and the user wants, unless a device is known to need otherwise.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_pci_enable.
 */
import { NVME_QUIRK_QDEPTH_ONE, NVME_QUIRK_SHARED_TAGS } from '@nvme-stack/nvme-core/ports';
import { NVME_CAP_MQES } from '@nvme-stack/nvme-protocol';
import type { NvmeDev } from './dev.js';
import type { KnownDevice } from './feature-eras.js';
import { NVME_DEFAULT_IO_QUEUE_DEPTH } from './limits.js';

const PCI_VENDOR_ID_APPLE = 0x106b;
const PCI_VENDOR_ID_SAMSUNG = 0x144d;
/** PM1725 reports a queue of one entry where it has more. */
const PM1725_DEVICES = [0xa821, 0xa822];
const PM1725_QUEUE_DEPTH = 64;
const APPLE_DEVICE = 0x2001;
/** One command at a time: the ring keeps one slot empty. */
const DEPTH_OF_ONE = 2;

function isKnown(dev: NvmeDev, known: KnownDevice): boolean {
  const { vendor, device } = dev.pdev;
  if (known === 'apple') return vendor === PCI_VENDOR_ID_APPLE && device === APPLE_DEVICE;
  return vendor === PCI_VENDOR_ID_SAMSUNG && PM1725_DEVICES.includes(device) && NVME_CAP_MQES(dev.ctrl.cap.lo) === 0;
}

/** What code, rather than a quirk, knows of a device; null: nothing. */
function depthOfKnownDevice(dev: NvmeDev): number | null {
  const { printk } = dev.kernel;
  const { knownDevices, namesFunction } = dev.driver.features;
  const name = namesFunction ? dev.pdev.dev.name : dev.ctrl.name;
  for (const known of knownDevices) {
    if (!isKnown(dev, known)) continue;
    if (known === 'apple') {
      printk.print(
        'warn',
        `nvme ${name}: detected Apple NVMe controller, set queue depth=${DEPTH_OF_ONE} to work around controller resets`,
      );
      return DEPTH_OF_ONE;
    }
    printk.print('err', `nvme ${name}: detected PM1725 NVMe controller, set queue depth=${PM1725_QUEUE_DEPTH}`);
    return PM1725_QUEUE_DEPTH;
  }
  return null;
}

/** Entries of an I/O queue; logs what is out of the ordinary. Once CAP is read. */
export function ioQueueDepth(dev: NvmeDev): number {
  const { ctrl } = dev;
  const { params, era } = dev.driver;
  const wanted = Number(params.io_queue_depth ?? NVME_DEFAULT_IO_QUEUE_DEPTH);
  let depth = Math.min(NVME_CAP_MQES(ctrl.cap.lo) + 1, wanted);
  if (ctrl.quirks & NVME_QUIRK_QDEPTH_ONE) depth = DEPTH_OF_ONE;
  else depth = depthOfKnownDevice(dev) ?? depth;
  // The admin queue's tags are taken from those of the I/O queues.
  const least = era.adminQueueDepth + 2;
  if (ctrl.quirks & NVME_QUIRK_SHARED_TAGS && depth < least) {
    depth = least;
    dev.kernel.printk.print('warn', `nvme ${ctrl.name}: IO queue depth clamped to ${depth}`);
  }
  return depth;
}
