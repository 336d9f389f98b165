/**
 * What device-core owns: devices, drivers, buses, classes, sysfs, uevents, character devices and their ioctls.
 * Types and constants only. Counterparts: include/linux/device.h, kobject.h, sysfs.h, cdev.h, pm.h.
 */
import type { DmaDevice, HasKernel, Kernel, Mutex } from '@nvme-stack/kernel';

// ------------------------------------------------------------------------------------------ sysfs

/** A sysfs file. `show` and `store` run in task context; `store` throws KernelError (EINVAL …). @kernel include/linux/sysfs.h attribute */
export interface Attribute {
  readonly name: string;
  /** 0o444, 0o200, 0o644 … */
  readonly mode: number;
  /** Text with its newline, as the file holds it. */
  show?(): string;
  /** What a reader waits for before `show`: a fresh log from the device and the like; `Sysfs.cat` calls it, `Sysfs.read` does not. Throws KernelError. Task context. */
  fetch?(): Promise<void>;
  store?(text: string): Promise<void> | void;
  /** Writing it removes its own device, so whoever else removes that device does not wait for the writer. @kernel fs/kernfs/dir.c kernfs_remove_self */
  readonly removesItself?: boolean;
}

/** Files that come and go together, in a directory of their own when named. @kernel include/linux/sysfs.h attribute_group */
export interface AttributeGroup {
  readonly name?: string;
  readonly attributes: readonly Attribute[];
  /** Whether an attribute is there; default: all are. */
  isVisible?(attribute: Attribute): boolean;
}

/** A node of sysfs. @kernel include/linux/kobject.h kobject */
export interface Kobject {
  readonly name: string;
  readonly parent: Kobject | null;
  /** `/sys/...` */
  readonly path: string;
}

/** The file tree below /sys. Paths may go through links. Errors: ENOENT, EACCES, EISDIR. Task context, but `read`, `list` and the like anywhere. */
export interface Sysfs {
  /** What the file shows without waiting. */
  read(path: string): string;
  /** What `cat` prints: waits for what the file must fetch first. @kernel fs/kernfs/file.c kernfs_fop_read_iter */
  cat(path: string): Promise<string>;
  write(path: string, text: string): Promise<void>;
  list(path: string): string[];
  readlink(path: string): string;
  exists(path: string): boolean;
  stat(path: string): { readonly kind: 'dir' | 'file' | 'link'; readonly mode: number };
}

/** @kernel include/linux/kobject.h kobject_action */
export type UeventAction = 'add' | 'remove' | 'change' | 'move' | 'online' | 'offline' | 'bind' | 'unbind';

/** What udev would hear. */
export interface Uevent {
  readonly timeNs: number;
  readonly action: UeventAction;
  /** Path below /sys, without `/sys`. */
  readonly devpath: string;
  readonly env: Readonly<Record<string, string>>;
}

// ------------------------------------------------------------------------------------------ the driver model

/** @kernel include/linux/device/bus.h bus_type */
export interface BusType {
  readonly name: string;
  match(dev: Device, drv: DeviceDriver): boolean;
  probe?(dev: Device): Promise<void>;
  remove?(dev: Device): Promise<void>;
  shutdown?(dev: Device): Promise<void>;
  uevent?(dev: Device): Record<string, string>;
  /** Trace pci_dma_configure and the like; runs before probe. */
  dmaConfigure?(dev: Device): void;
  /** CPUs of a device's interrupt vector, for queue mapping; null: no preference. */
  irqGetAffinity?(dev: Device, index: number): readonly number[] | null;
  readonly devGroups?: readonly AttributeGroup[];
  /** Files of the bus itself, beside `uevent`, `drivers_probe` and `drivers_autoprobe`. @kernel include/linux/device/bus.h bus_type.bus_groups */
  readonly busGroups?: readonly AttributeGroup[];
  /** Files of each driver on this bus (`new_id`, `remove_id`). */
  driverAttributes?(drv: DeviceDriver): readonly Attribute[];
  suspend?(dev: Device): Promise<void>;
  resume?(dev: Device): Promise<void>;
}

/** Sleeps under their names in /sys/power/state: `freeze` leaves the power on, `mem` gives it to firmware. @kernel kernel/power/suspend.c pm_states */
export type SuspendState = 'freeze' | 'mem';

/** @kernel include/linux/pm.h dev_pm_ops */
export interface DevPmOps {
  suspend?(dev: Device): Promise<void>;
  resume?(dev: Device): Promise<void>;
  freeze?(dev: Device): Promise<void>;
  thaw?(dev: Device): Promise<void>;
  poweroff?(dev: Device): Promise<void>;
  restore?(dev: Device): Promise<void>;
}

/** Whether probe may run in a worker. @kernel include/linux/device/driver.h probe_type */
export type ProbeType = 'default' | 'prefer-asynchronous' | 'force-synchronous';

/** @kernel include/linux/device/driver.h device_driver */
export interface DeviceDriver {
  readonly name: string;
  readonly bus: BusType;
  /** Name of the module it belongs to. */
  readonly owner: string;
  readonly probeType: ProbeType;
  /** The driver that embeds this one (container_of). */
  readonly container: unknown;
  readonly groups?: readonly AttributeGroup[];
  readonly pm?: DevPmOps;
  probe?(dev: Device): Promise<void>;
  remove?(dev: Device): Promise<void>;
  shutdown?(dev: Device): Promise<void>;
}

/** @kernel include/linux/device/class.h class */
export interface DeviceClass {
  readonly name: string;
  readonly devGroups?: readonly AttributeGroup[];
  /** Adds to the environment of every uevent; trace nvme_class_uevent and the like. */
  devUevent?(dev: Device): Record<string, string>;
}

/** What a device is made from. */
export interface DeviceInit {
  readonly name: string;
  readonly parent: Device | null;
  /** The thing that embeds it (container_of). */
  readonly container: unknown;
  readonly bus?: BusType;
  readonly class?: DeviceClass;
  readonly groups?: readonly AttributeGroup[];
  /** major:minor of its node below /dev. */
  readonly devt?: DevT;
  /** Node name below /dev; default: the device's name. */
  readonly devnode?: string;
  readonly numaNode?: number;
  /** `disk`, `partition` … (DEVTYPE). */
  readonly type?: string;
  /** Adds to this device's uevents. */
  uevent?(dev: Device): Record<string, string>;
  /** Called when the last reference is gone. */
  release?(dev: Device): void;
  /** A class device whose parent has no class stands in a directory named after its class; true: directly below the parent. */
  readonly noSysfsParentDir?: boolean;
}

/** @kernel include/linux/device.h device */
export interface Device extends HasKernel {
  readonly kernel: Kernel;
  readonly name: string;
  readonly parent: Device | null;
  readonly kobj: Kobject;
  readonly container: unknown;
  readonly bus: BusType | null;
  readonly class: DeviceClass | null;
  readonly devt: DevT | null;
  /** NUMA node, -1: not known; whoever changes it must do so before memory is allocated for it. @kernel include/linux/device.h set_dev_node */
  numaNode: number;
  driver: DeviceDriver | null;
  /** @kernel include/linux/device.h dev_set_drvdata */
  driverData: unknown;
  /** How the platform maps memory for it; null: it does no DMA. */
  dma: DmaDevice | null;
  /** Serialises probe, remove, suspend and shutdown, and what a bus does to a bound device. @kernel include/linux/device.h device_lock */
  readonly lock: Mutex;
  /** Registered and not yet deleted. */
  readonly registered: boolean;
  /** Cleared while a bus is still adding it: no driver is looked for. @kernel include/linux/pci.h match_driver */
  matchDriver: boolean;
  /** No uevents are sent for it. @kernel include/linux/device.h dev_set_uevent_suppress */
  ueventSuppress: boolean;
}

/** @kernel include/linux/kdev_t.h dev_t */
export interface DevT {
  readonly major: number;
  readonly minor: number;
}

// ------------------------------------------------------------------------------------------ character devices

/** An open file of a character or block device. @kernel include/linux/fs.h file */
export interface OpenFile {
  readonly path: string;
  readonly readable: boolean;
  readonly writable: boolean;
  /** Who opened it may do what an administrator may. @kernel kernel/capability.c capable(CAP_SYS_ADMIN) */
  readonly sysAdmin: boolean;
  /** What embeds the device (`Cdev.container`) when the driver's `open` runs; the driver's own afterwards. */
  privateData: unknown;
}

/** @kernel include/linux/fs.h file_operations */
export interface FileOperations {
  open?(file: OpenFile): Promise<void>;
  release?(file: OpenFile): Promise<void>;
  /** Returns the ioctl's non-negative result; `argument` is the caller's structure, updated in place. Throws ENOTTY for unknown commands. */
  unlockedIoctl?(file: OpenFile, command: number, argument: unknown): Promise<number>;
}

/** @kernel include/linux/cdev.h cdev */
export interface Cdev {
  readonly ops: FileOperations;
  /** Reached from `OpenFile` handlers. */
  readonly container: unknown;
}

/** How a node is opened, and by whom. */
export interface OpenFlags {
  /** Default: true. */
  readonly read?: boolean;
  readonly write: boolean;
  /** The opener has CAP_SYS_ADMIN (and every other capability); default: true. Anybody else needs the node's mode bits for others. */
  readonly sysAdmin?: boolean;
}

/** A node below /dev. @kernel include/linux/stat.h kstat */
export interface NodeStat {
  readonly kind: 'char' | 'block';
  /** Permission bits. */
  readonly mode: number;
  readonly devt: DevT;
}

// ------------------------------------------------------------------------------------------ who made the machine

/** What firmware says of the machine and its board. @kernel include/linux/mod_devicetable.h dmi_field */
export type DmiField = 'sysVendor' | 'productName' | 'productFamily' | 'boardVendor' | 'boardName';

/** Texts by field; a field that is left out is not known. */
export type DmiIdentity = { readonly [field in DmiField]?: string };

/** The identity of one machine, for drivers that know some machines by name. */
export interface Dmi {
  /** Whether a field is exactly that text; one that is not known is no text. Any context. @kernel drivers/firmware/dmi_scan.c dmi_match */
  match(field: DmiField, text: string): boolean;
  /** Makes /sys/class/dmi/id, with a file for each field that is known; without any, nothing. Once, at boot; task context. @kernel drivers/firmware/dmi-id.c dmi_id_init */
  dmiIdInit(): Promise<void>;
}

// ------------------------------------------------------------------------------------------ the subsystem

/** The driver core of one machine. */
export interface DeviceCore {
  readonly kernel: Kernel;
  readonly sysfs: Sysfs;

  /** @kernel drivers/base/bus.c bus_register */
  busRegister(bus: BusType): void;
  busUnregister(bus: BusType): void;
  /** Devices of a bus in order of registration. @kernel drivers/base/bus.c bus_for_each_dev */
  busDevices(bus: BusType): readonly Device[];
  /** The directory of a registered bus, for directories of its own below it; null: it is not registered. @kernel drivers/base/bus.c bus_get_kset */
  busKobject(bus: BusType): Kobject | null;
  /** Trace driver_register → driver_find, bus_add_driver → driver_attach → bus_for_each_dev → __driver_attach …; probes devices (asynchronously when the driver prefers it). Throws EBUSY for a name taken. Task context. @kernel drivers/base/driver.c driver_register */
  driverRegister(drv: DeviceDriver): Promise<void>;
  /** Unbinds every device first. @kernel drivers/base/driver.c driver_unregister */
  driverUnregister(drv: DeviceDriver): Promise<void>;
  driverFind(name: string, bus: BusType): DeviceDriver | null;

  /** Not yet visible. @kernel drivers/base/core.c device_initialize */
  deviceInitialize(init: DeviceInit): Device;
  /** Visible in sysfs, uevent, bus notified; matching drivers are probed unless `matchDriver` is false. Throws EEXIST. Task context. @kernel drivers/base/core.c device_add */
  deviceAdd(dev: Device): Promise<void>;
  /** Unbinds and hides it. @kernel drivers/base/core.c device_del */
  deviceDel(dev: Device): Promise<void>;
  getDevice(dev: Device): Device;
  /** Drops a reference; the last one calls `release`. @kernel drivers/base/core.c put_device */
  putDevice(dev: Device): void;
  /** Looks for a driver. @kernel drivers/base/dd.c device_attach */
  deviceAttach(dev: Device): Promise<void>;
  /** @kernel drivers/base/dd.c device_release_driver */
  deviceReleaseDriver(dev: Device): Promise<void>;
  /** Every device below it, each before its own children. @kernel drivers/base/core.c device_for_each_child */
  deviceChildren(dev: Device): readonly Device[];

  /** Runs when the driver unbinds, last registered first. @kernel drivers/base/devres.c devm_add_action */
  devmAddAction(dev: Device, name: string, action: () => Promise<void> | void): void;

  classRegister(cls: DeviceClass): void;
  classUnregister(cls: DeviceClass): void;
  classDevices(cls: DeviceClass): readonly Device[];

  /** A directory of its own below `parent` (default /sys). @kernel lib/kobject.c kobject_create_and_add */
  kobjectCreate(name: string, parent: Kobject | null, live?: boolean): Kobject;
  kobjectDel(kobj: Kobject): void;
  sysfsCreateFile(kobj: Kobject, attribute: Attribute): void;
  sysfsRemoveFile(kobj: Kobject, attribute: Attribute): void;
  sysfsCreateGroup(kobj: Kobject, group: AttributeGroup): void;
  sysfsRemoveGroup(kobj: Kobject, group: AttributeGroup): void;
  sysfsCreateLink(kobj: Kobject, name: string, target: Kobject): void;
  sysfsRemoveLink(kobj: Kobject, name: string): void;

  /** @kernel lib/kobject_uevent.c kobject_uevent_env */
  kobjectUevent(kobj: Kobject, action: UeventAction, env?: Readonly<Record<string, string>>): void;
  /** Of a device: with its bus's, class's and own additions. */
  deviceUevent(dev: Device, action: UeventAction, env?: Readonly<Record<string, string>>): void;
  readonly uevents: readonly Uevent[];
  subscribeUevents(listener: (event: Uevent) => void): () => void;

  /** Reserves minors under a new major number, or under `major` (1 to 511; 0: a new one). Throws EBUSY, EINVAL. @kernel fs/char_dev.c alloc_chrdev_region */
  allocChrdevRegion(name: string, minors: number, major?: number): number;
  unregisterChrdevRegion(major: number): void;
  /** Major number of block devices. @kernel block/genhd.c register_blkdev */
  registerBlkdev(name: string): number;
  unregisterBlkdev(major: number): void;
  /** Adds the device and its node below /dev. @kernel fs/char_dev.c cdev_device_add */
  cdevDeviceAdd(cdev: Cdev, dev: Device): Promise<void>;
  cdevDeviceDel(cdev: Cdev, dev: Device): Promise<void>;
  /** Makes a block device's node reach `ops`. */
  addNode(dev: Device, ops: FileOperations, container: unknown): void;
  removeNode(dev: Device): void;

  /** Opens a node below /dev. Throws ENOENT, ENXIO, EACCES. Task context. */
  open(path: string, flags: OpenFlags): Promise<OpenFile>;
  close(file: OpenFile): Promise<void>;
  ioctl(file: OpenFile, command: number, argument: unknown): Promise<number>;
  /** Names below /dev. */
  listNodes(): string[];
  /** Throws ENOENT, ENOTDIR. */
  statNode(path: string): NodeStat;
  /** Permission bits of a node (new nodes: 0o600), gone with it. Throws ENOENT, ENOTDIR, EINVAL. @kernel fs/open.c chmod_common */
  chmodNode(path: string, mode: number): void;

  /** Suspends every device, children first; a failure resumes those already asleep. @kernel drivers/base/power/main.c dpm_suspend */
  dpmSuspend(state?: SuspendState): Promise<void>;
  dpmResume(): Promise<void>;
  /** Whether firmware takes the power away in the sleep that is under way. @kernel include/linux/suspend.h pm_suspend_via_firmware */
  pmSuspendViaFirmware(): boolean;
  /** @kernel drivers/base/core.c device_shutdown */
  deviceShutdown(): Promise<void>;
  /** Waits for probes under way. @kernel drivers/base/dd.c wait_for_device_probe */
  waitForDeviceProbe(): Promise<void>;
}
