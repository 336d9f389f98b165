/**
 * The links between a driver and the module it came in: `module` in the driver's directory, and
 * `/sys/module/<module>/drivers/<bus>:<driver>`. The module's directory belongs to the module loader and is found by
 * name, as Linux finds it in its set of modules; a driver without one (built in) gets no links.
 * Kernel counterpart: drivers/base/module.c.
 */
import { traced } from '@nvme-stack/kernel';
import type { DriverPrivate } from './driver.js';
import { dirOf } from './kobject.js';
import { faultAt } from './state.js';
import { removeLink } from './sysfs.js';
import { addDir, addLink, removeNode, type SysfsNode } from './sysfs-node.js';

function moduleDir(driver: DriverPrivate): SysfsNode | null {
  return driver.core.sysfsRoot.children.get('module')?.children.get(driver.drv.owner) ?? null;
}

function linkName(driver: DriverPrivate): string {
  return `${driver.drv.bus.name}:${driver.drv.name}`;
}

/** @kernel drivers/base/module.c module_add_driver */
export const moduleAddDriver = traced('module_add_driver', (driver: DriverPrivate): void => {
  const module = moduleDir(driver);
  if (module === null) return;
  faultAt(driver.core, `module_add_driver:${driver.drv.name}`);
  addLink(dirOf(driver.kobj), 'module', module);
  const drivers = module.children.get('drivers') ?? addDir(module, 'drivers');
  addLink(drivers, linkName(driver), dirOf(driver.kobj));
});

/** @kernel drivers/base/module.c module_remove_driver */
export function moduleRemoveDriver(driver: DriverPrivate): void {
  removeLink(driver.kobj, 'module');
  const link = moduleDir(driver)?.children.get('drivers')?.children.get(linkName(driver));
  if (link !== undefined) removeNode(link);
}
