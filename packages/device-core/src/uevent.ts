/**
 * Uevents: what user space hears when kobjects come, change and go, and what it may ask for through `uevent` files.
 * Kernel counterpart: lib/kobject_uevent.c, and dev_uevent in drivers/base/core.c.
 */
import { KernelError, traced } from '@nvme-stack/kernel';
import type { DeviceImpl } from './device.js';
import type { KobjectImpl } from './kobject.js';
import type { Uevent, UeventAction } from './ports.js';

const ACTIONS: readonly UeventAction[] = ['add', 'remove', 'change', 'move', 'online', 'offline', 'bind', 'unbind'];
const UUID = /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/;
const SYNTH_ARG = /^[A-Za-z0-9]+=[A-Za-z0-9]+$/;

/** A device's own part of the environment; the `uevent` file shows it too. @kernel drivers/base/core.c dev_uevent */
export function deviceEnv(dev: DeviceImpl): Record<string, string> {
  const env: Record<string, string> = {};
  if (dev.devt !== null) {
    env.MAJOR = String(dev.devt.major);
    env.MINOR = String(dev.devt.minor);
    env.DEVNAME = dev.nodeName;
  }
  if (dev.init.type !== undefined) env.DEVTYPE = dev.init.type;
  if (dev.driver !== null) env.DRIVER = dev.driver.name;
  return {
    ...env,
    ...dev.bus?.uevent?.(dev),
    ...dev.class?.devUevent?.(dev),
    ...dev.init.uevent?.(dev),
  };
}

/** The subsystem an event names: a device's bus or class, any other kobject's set. Null: no event is sent. @kernel drivers/base/core.c dev_uevent_filter, dev_uevent_name */
function subsystemOf(kobj: KobjectImpl): string | null {
  const { device } = kobj;
  if (device !== null) return device.bus?.name ?? device.class?.name ?? null;
  return kobj.parent?.name ?? null;
}

/** Sends an event, untraced: subsystems that register while the machine is built send theirs before any task runs. */
export function sendUevent(
  kobj: KobjectImpl,
  action: UeventAction,
  extra: Readonly<Record<string, string>> = {},
): void {
  if (action === 'remove') kobj.removeUeventSent = true;
  if (kobj.device?.ueventSuppress === true) return;
  const subsystem = subsystemOf(kobj);
  if (subsystem === null) return;
  const { core } = kobj;
  const devpath = kobj.path.slice('/sys'.length);
  const env: Record<string, string> = { ACTION: action, DEVPATH: devpath, SUBSYSTEM: subsystem, ...extra };
  if (kobj.device !== null) Object.assign(env, deviceEnv(kobj.device));
  if (action === 'add') kobj.addUeventSent = true;
  env.SEQNUM = String(++core.ueventSeqnum);
  const event: Uevent = { timeNs: core.kernel.ex.now(), action, devpath, env };
  core.uevents.push(event);
  for (const listener of core.ueventListeners) listener(event);
}

/** @kernel lib/kobject_uevent.c kobject_uevent_env */
export const kobjectUeventEnv = traced('kobject_uevent_env', sendUevent);

/** What writing to a `uevent` file does: `action [uuid [KEY=value …]]`. Throws EINVAL. @kernel lib/kobject_uevent.c kobject_synth_uevent */
export function kobjectSynthUevent(kobj: KobjectImpl, text: string): void {
  const [word, uuid, ...args] = text.trim().split(/\s+/);
  const action = ACTIONS.find((name) => name === word);
  const good =
    action !== undefined && (uuid === undefined || UUID.test(uuid)) && args.every((arg) => SYNTH_ARG.test(arg));
  if (!good) {
    const { device } = kobj;
    if (device !== null)
      device.core.kernel.printk.print('err', `${devPrefix(device)}: uevent: failed to send synthetic uevent: -22`);
    throw new KernelError(
      'EINVAL',
      `uevent '${text.trim()}': allowed are ${ACTIONS.join(', ')}, then a UUID and KEY=value`,
    );
  }
  const env: Record<string, string> = {};
  if (kobj.core.era.synthUuid) env.SYNTH_UUID = uuid ?? '0';
  for (const arg of args) env[`SYNTH_ARG_${arg.slice(0, arg.indexOf('='))}`] = arg.slice(arg.indexOf('=') + 1);
  kobjectUeventEnv(kobj, action, env);
}

/** How the log names a device: its driver, else its bus, else its class; then its name. @kernel drivers/base/core.c dev_driver_string */
export function devPrefix(dev: DeviceImpl): string {
  const owner = dev.driver?.name ?? dev.bus?.name ?? dev.class?.name ?? '';
  return `${owner} ${dev.name}`;
}
