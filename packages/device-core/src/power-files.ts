/**
 * The `power` directory of every device.
 * Kernel counterpart: drivers/base/power/sysfs.c.
 *
 * Run-time power management never puts a device to sleep here: one on a bus is active from its start, all others have none.
 */
import { KernelError } from '@nvme-stack/kernel';
import type { DeviceImpl } from './device.js';
import type { Attribute, AttributeGroup } from './ports.js';

const NS_PER_MS = 1e6;

/** A file whose text is one of two words. Throws EINVAL for any other. */
function choice(name: string, words: readonly [string, string], initial: string): Attribute & { show(): string } {
  let chosen = initial;
  return {
    name,
    mode: 0o644,
    show: () => `${chosen}\n`,
    store: (text) => {
      const word = text.trim();
      if (!words.includes(word))
        throw new KernelError('EINVAL', `power/${name} '${word}': allowed are ${words.join(', ')}`);
      chosen = word;
    },
  };
}

/** Without autosuspend there is no delay to read or write. @kernel drivers/base/power/sysfs.c autosuspend_delay_ms_show */
function autosuspendDelay(): Attribute {
  const refuse = (): never => {
    throw new KernelError('EIO', 'power/autosuspend_delay_ms: the device has no autosuspend');
  };
  return { name: 'autosuspend_delay_ms', mode: 0o644, show: refuse, store: refuse };
}

/** @kernel drivers/base/power/sysfs.c pm_attr_group, pm_runtime_attr_group */
export function powerGroup(dev: DeviceImpl): AttributeGroup {
  const onBus = dev.bus !== null;
  const control = choice('control', ['auto', 'on'], onBus ? 'on' : 'auto');
  const forbidden = (): boolean => control.show() === 'on\n';
  const sinceNs = dev.kernel.ex.now();
  const shown = (name: string, text: () => string | number): Attribute => ({
    name,
    mode: 0o444,
    show: () => `${text()}\n`,
  });
  const enabled = (): string => (forbidden() ? 'forbidden' : 'enabled');
  // A driver holds its device for as long as it is bound, and so does whoever forbids the device to sleep.
  const usage = (): number => (dev.driver === null ? 0 : 1) + (forbidden() ? 1 : 0);
  return {
    name: 'power',
    attributes: [
      choice('async', ['enabled', 'disabled'], onBus ? 'enabled' : 'disabled'),
      autosuspendDelay(),
      control,
      shown('runtime_active_kids', () => 0),
      shown('runtime_active_time', () => (onBus ? Math.floor((dev.kernel.ex.now() - sinceNs) / NS_PER_MS) : 0)),
      shown('runtime_enabled', () => (onBus ? enabled() : 'disabled')),
      shown('runtime_status', () => (onBus ? 'active' : 'unsupported')),
      shown('runtime_suspended_time', () => 0),
      shown('runtime_usage', () => (onBus ? usage() : 0)),
    ],
  };
}
