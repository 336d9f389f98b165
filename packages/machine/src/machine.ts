/**
 * The front door of a whole machine: from power-on to I/O with plain `await`.
 */
import { type FrontDoor, KernelError, sleepNs } from '@nvme-stack/kernel';
import { NVME_CTRL_STATE_NAMES } from '@nvme-stack/nvme-core/ports';
import type { Composition } from './compose.js';
import { compose } from './compose.js';
import { cpuOf, refuseOffline } from './cpu.js';
import { type MachineDescription, resolveMachine } from './description.js';
import { deviceAt, plug, SETTLE_HORIZON_NS, slotOf } from './devices.js';
import { openDisk } from './disk.js';
import { allocBuffer } from './io-buffer.js';
import { copyOfArgument, ioctl } from './ioctl.js';
import { JournalRecorder, replayJournal } from './journal.js';
import type { Journal, Machine, MachineOptions, Subsystems } from './ports.js';

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
    await subsystems.dmi.dmiIdInit();
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
  return replayWith(createMachine, journal, untilNs, options);
}

/** The same with a `createMachine` of another entry point, which must return the machine that was made here. */
export function replayWith(
  create: typeof createMachine,
  journal: Journal,
  untilNs: number,
  options: MachineOptions,
): Promise<Machine> {
  return replayJournal(create, journal, untilNs, options, (machine) => doors.get(machine) as FrontDoor);
}

function frontDoor(composition: Composition, recorder: JournalRecorder, description: Machine['description']): Machine {
  const { subsystems, door } = composition;
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
    controllers: () =>
      subsystems.nvmeCore.controllers.map(({ name, dev, state }) => ({
        name,
        address: dev.name,
        state: NVME_CTRL_STATE_NAMES[state],
      })),
    queues: (name) => queuesOf(subsystems, name),
    cpu: (cpu) => cpuOf(subsystems, cpu, call),
    device: (bdf) => deviceAt(subsystems, bdf, call),
    slot: (port) => slotOf(subsystems, port, call),
    plug: (nvme) => plug(composition, nvme, call),
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
