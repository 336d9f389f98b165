/**
 * The front door of a whole machine: from power-on to I/O with plain `await`.
 */
import { type FrontDoor, KernelError, sleepNs } from '@nvme-stack/kernel';
import type { Composition } from './compose.js';
import { compose } from './compose.js';
import { cpuOf, refuseOffline } from './cpu.js';
import { type MachineDescription, type MachineNvme, resolveMachine, validateController } from './description.js';
import { deviceFaults } from './device-faults.js';
import { withProperties } from './device-properties.js';
import { openDisk } from './disk.js';
import { allocBuffer } from './io-buffer.js';
import { copyOfArgument, ioctl } from './ioctl.js';
import { JournalRecorder, replayJournal } from './journal.js';
import type { Journal, Machine, MachineDevice, MachineOptions, Subsystems } from './ports.js';
import { checkVfPlace } from './vf-places.js';

/** How far ahead `settle` looks for work, in nanoseconds: not as far as to what looks after a controller every second. */
const SETTLE_HORIZON_NS = 0.7e9;
const PCI_FUNCTIONS = 8;

/** Builds a machine from its description and boots it: the PCI bus is enumerated, no driver is loaded. Rejects with one RangeError sentence for a bad description. */
export async function createMachine(
  description: MachineDescription = {},
  options: MachineOptions = {},
): Promise<Machine> {
  const resolved = resolveMachine(description);
  if (resolved.platform === 'qemu' && options.parts?.board === undefined) {
    throw new RangeError('machine.platform is "qemu"; allowed here: "sim" (@nvme-stack/machine/node starts QEMU)');
  }
  const composition = compose(resolved, options);
  const { subsystems, door } = composition;
  await door.call('swapper', async () => {
    subsystems.blkMq.blkDevInit();
    await subsystems.pciBus.pciHostProbe(subsystems.platform.hostBridge);
    subsystems.kernel.live.baseline();
  });
  const recorder = new JournalRecorder(description, subsystems.kernel, door);
  const machine = frontDoor(composition, recorder, resolved);
  doors.set(machine, door);
  return machine;
}

/** The way in of each machine made here, for replay. */
const doors = new WeakMap<Machine, FrontDoor>();

/** Replays a journal up to `untilNs` of virtual time (default: all of it) on a new machine: the same run, entry for entry. `options` must be those of the recorded machine. */
export function replay(
  journal: Journal,
  untilNs: number = Number.POSITIVE_INFINITY,
  options: MachineOptions = {},
): Promise<Machine> {
  return replayJournal(createMachine, journal, untilNs, options, (machine) => doors.get(machine) as FrontDoor);
}

function frontDoor(
  { subsystems, door, makeController }: Composition,
  recorder: JournalRecorder,
  description: Machine['description'],
): Machine {
  const { kernel, modules, deviceCore, blkMq } = subsystems;
  const { sysfs } = deviceCore;
  const call = recorder.call.bind(recorder);
  return {
    description,
    subsystems,
    get nowNs() {
      return kernel.ex.now();
    },
    trace: {
      level: kernel.trace.level,
      entries: kernel.trace.entries,
      hash: () => kernel.trace.hash(),
      subscribe: (listener) => kernel.trace.subscribe(listener),
    },
    modprobe: (name, params) => call('modprobe', [name, params], () => modules.modprobe(name, params)),
    insmod: (definition, params) => call('insmod', [definition, params], () => modules.insmod(definition, params)),
    rmmod: (name) => call('rmmod', [name], () => modules.rmmod(name)),
    disk: (name) => openDisk(subsystems, name, call),
    allocBuffer: (sizeBytes, layout) => allocBuffer(kernel, sizeBytes, 'user buffer', layout?.pieceBytes),
    allocBio: (maxVecs) => blkMq.allocBio(maxVecs),
    submitBio: (bio) => door.call('submit_bio', () => blkMq.submitBioWait(bio)),
    ioctl: (path, command, argument, flags) =>
      call('ioctl', [path, command, copyOfArgument(argument), flags], () =>
        ioctl(deviceCore, path, command, argument, flags),
      ),
    chmod: (path, mode) => call('chmod', [path, mode], async () => deviceCore.chmodNode(path, mode)),
    task: (name, main, cpu) => {
      const refusal = refuseOffline(kernel, name, cpu);
      return refusal === null ? door.call(name, () => main(subsystems), cpu) : Promise.reject(refusal);
    },
    dmesg: () => kernel.printk.dmesg(),
    sysfs: {
      read: (path) => sysfs.read(path),
      cat: (path) => call('sysfs.cat', [path], () => sysfs.cat(path)),
      write: (path, text) => call('sysfs.write', [path, text], () => sysfs.write(path, text)),
      list: (path) => sysfs.list(path),
      readlink: (path) => sysfs.readlink(path),
      exists: (path) => sysfs.exists(path),
    },
    procfs: { read: (path) => kernel.procfs.read(path), list: () => kernel.procfs.list() },
    uevents: deviceCore.uevents,
    queues: (name) => queuesOf(subsystems, name),
    cpu: (cpu) => cpuOf(subsystems, cpu, call),
    device: (bdf) => deviceAt(subsystems, bdf, call),
    plug: (nvme) => plug(subsystems, door, makeController, nvme, call),
    suspend: (state) => call('suspend', [state], () => deviceCore.dpmSuspend(state)),
    resume: () => call('resume', [], () => deviceCore.dpmResume()),
    shutdown: () => call('shutdown', [], () => deviceCore.deviceShutdown()),
    run: (ns) => call('run', [ns], () => sleepNs(kernel, ns)),
    step: () => door.step(),
    settle: () => door.settle(SETTLE_HORIZON_NS),
    leaks: () => kernel.live.leaks(),
    journal: () => recorder.journal(),
    close: () => door.close('the machine is closed'),
    [Symbol.asyncDispose]: async () => door.close('the machine is closed'),
  };
}

function queuesOf({ nvmeCore, nvmePciDriver }: Subsystems, name: string): ReturnType<Machine['queues']> {
  const ctrl = nvmeCore.controllers.find((one) => one.name === name);
  if (ctrl === undefined) throw new KernelError('ENODEV', `there is no controller ${name}`);
  return nvmePciDriver.queues(ctrl);
}

type Caller = JournalRecorder['call'];

function deviceAt({ pciBus, platform }: Subsystems, bdf: string, call: Caller): MachineDevice {
  const match = /^0000:00:([0-9a-f]{2})\.([0-7])$/.exec(bdf);
  const address = match === null ? null : { slot: Number.parseInt(match[1] as string, 16), fn: Number(match[2]) };
  const fn = address === null ? null : platform.functionAt(address);
  if (address === null || fn === null) throw new KernelError('ENODEV', `there is no PCI function ${bdf}`);
  return {
    get pdev() {
      return pciBus.pciGetDevice(bdf);
    },
    function: fn,
    get faults() {
      return deviceFaults(fn, bdf, call);
    },
    unplug: () => call('device.unplug', [bdf], async () => platform.unplug(address)),
  };
}

async function plug(
  subsystems: Subsystems,
  door: FrontDoor,
  makeController: Composition['makeController'],
  nvme: MachineNvme,
  call: Caller,
): Promise<MachineDevice> {
  const { platform } = subsystems;
  validateController(nvme, 'machine.plug');
  const slot = nvme.slot ?? freeSlot(subsystems);
  if (isTaken(subsystems, slot))
    throw new RangeError(`machine.plug.slot is ${slot}, which is taken; allowed: an empty slot`);
  checkVfPlace('machine.plug', withProperties(nvme, 'machine.plug'), slot * 8, (devfn) => {
    return platform.functionAt({ slot: devfn >>> 3, fn: devfn & 7 }) !== null;
  });
  const fn = makeController(nvme);
  await call('plug', [{ ...nvme, slot }], async () => platform.plug({ slot }, fn));
  await door.settle(SETTLE_HORIZON_NS);
  return deviceAt(subsystems, `0000:00:${slot.toString(16).padStart(2, '0')}.0`, call);
}

function isTaken({ platform }: Subsystems, slot: number): boolean {
  let taken = false;
  for (let fn = 0; fn < PCI_FUNCTIONS; fn++) taken ||= platform.functionAt({ slot, fn }) !== null;
  return taken;
}

function freeSlot(subsystems: Subsystems): number {
  for (let slot = 1; slot < 31; slot++) {
    if (!isTaken(subsystems, slot)) return slot;
  }
  throw new KernelError('ENOSPC', 'every PCI slot is taken');
}
