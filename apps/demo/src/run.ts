/** A run's steps in their order, each with its screen, and what they have seen so far. */
import type { Machine, MachineDescription } from '@nvme-stack/machine';
import { type ImageRead, readImage, type Volume, volumes } from './image.js';
import type { View } from './layout.js';
import { type LoadPhase, loadPhase } from './load-phase.js';
import type { DemoOptions } from './options.js';
import { type ProgressHost, withProgress } from './progress.js';
import { dmesgScreen } from './screens/dmesg.js';
import { imageScreen, volumesScreen } from './screens/image.js';
import { loadScreen } from './screens/load.js';
import { loadingScreen } from './screens/loading.js';
import { queuesScreen } from './screens/queues.js';
import { transfersScreen } from './screens/transfers.js';
import { leftScreen, unloadingScreen } from './screens/unloading.js';
import { type Loaded, load, type Unloaded, unload } from './session.js';
import { type Transfer, transfers } from './transfers.js';

/** Everything a run has seen. What a step has not come to yet is null or empty. */
export interface Run {
  readonly machine: Machine;
  readonly options: DemoOptions;
  /** Path of the image behind nvme0n1 when `--disk` named one. */
  readonly imagePath: string | null;
  readonly host: ProgressHost;
  loaded: Loaded;
  unloaded: Unloaded;
  transfers: readonly Transfer[];
  load: LoadPhase | null;
  volumes: readonly Volume[];
  image: ImageRead | null;
  /** Host time of the load phase or of reading the image. */
  wallMs: number;
}

/** Something that is done and then shown. */
export interface Step {
  readonly title: string;
  act?(run: Run): Promise<void>;
  lines(run: Run, view: View): string[];
}

const LOG: Step = {
  title: 'modprobe nvme: the log, as dmesg prints it',
  act: async (run) => {
    run.loaded = await load(run.machine);
  },
  lines: ({ loaded }, view) => dmesgScreen(loaded.dmesg, view),
};

const LOADING: Step = {
  title: 'From insmod over nvme_probe to a live disk',
  lines: ({ loaded }, view) => loadingScreen(loaded, view),
};

const QUEUES: Step = { title: 'Queues, vectors and CPUs', lines: ({ loaded }, view) => queuesScreen(loaded, view) };

const TRANSFERS: Step = {
  title: 'Write, flush, read back',
  act: async (run) => {
    const disk = run.loaded.disks[0];
    if (disk !== undefined && disk.sizeBytes > 0) run.transfers = await transfers(run.machine, disk);
  },
  lines: (run, view) => transfersScreen(run.transfers, view),
};

const LOAD: Step = {
  title: 'Load on every hardware queue',
  act: async (run) => {
    const { machine, options, host, loaded } = run;
    const disk = loaded.disks[0];
    if (disk === undefined || options.operations === 0) return;
    const startMs = host.nowMs();
    run.load = await withProgress(host, `${options.operations} reads and writes`, (onProgress) =>
      loadPhase(machine, disk, options.operations, onProgress),
    );
    run.wallMs = host.nowMs() - startMs;
  },
  lines: (run, view) => loadScreen(run.load, run.wallMs, view),
};

const VOLUMES: Step = {
  title: 'What is on the image',
  act: async (run) => {
    const disk = run.loaded.disks[0];
    if (disk !== undefined) run.volumes = await volumes(run.machine, disk);
  },
  lines: (run, view) => volumesScreen(run.volumes, view),
};

const IMAGE: Step = {
  title: 'The whole image, read through the stack',
  act: async (run) => {
    const { machine, host, loaded, imagePath } = run;
    const disk = loaded.disks[0];
    if (disk === undefined || imagePath === null) return;
    const startMs = host.nowMs();
    run.image = await withProgress(host, `Reading ${disk.name}`, (onProgress) =>
      readImage(machine, disk, imagePath, onProgress),
    );
    run.wallMs = host.nowMs() - startMs;
  },
  lines: ({ image, wallMs, options }, view) =>
    image === null ? [view.paint.bad('There is no disk.')] : imageScreen(image, options.disk ?? '', wallMs, view),
};

const UNLOADING: Step = {
  title: 'rmmod nvme, rmmod nvme_core',
  act: async (run) => {
    run.unloaded = await unload(run.machine);
  },
  lines: ({ unloaded }, view) => unloadingScreen(unloaded, view),
};

const LEFT: Step = {
  title: 'What was left behind',
  lines: ({ unloaded, machine }, view) =>
    leftScreen(
      unloaded,
      { entries: machine.trace.entries.length, hash: machine.trace.hash(), nowNs: machine.nowNs },
      view,
    ),
};

/** The steps of a run. */
export function steps({ disk, writable }: DemoOptions): Step[] {
  const begin = [LOG, LOADING, QUEUES];
  const end = [UNLOADING, LEFT];
  if (disk === null) return [...begin, TRANSFERS, LOAD, ...end];
  return [...begin, VOLUMES, ...(writable ? [TRANSFERS] : []), IMAGE, ...end];
}

/** A run that has not begun. */
export function newRun(machine: Machine, options: DemoOptions, imagePath: string | null, host: ProgressHost): Run {
  return {
    machine,
    options,
    imagePath,
    host,
    loaded: NOT_LOADED,
    unloaded: NOT_UNLOADED,
    transfers: [],
    load: null,
    volumes: [],
    image: null,
    wallMs: 0,
  };
}

const NOT_LOADED: Loaded = {
  dmesg: [],
  entries: [],
  controllers: [],
  disks: [],
  interruptsText: '',
  interrupts: [],
  uevents: [],
};

const NOT_UNLOADED: Unloaded = {
  dmesg: [],
  entries: [],
  held: [],
  leaks: [],
  controllers: [],
  interrupts: [],
};

/** Everything went as it should: controllers live, bytes right, nothing left. */
export function isGood({ machine, loaded, transfers: done, load: phase, image, unloaded }: Run): boolean {
  const described: MachineDescription['nvme'] = machine.description.nvme;
  return (
    loaded.controllers.length === (described?.length ?? 0) &&
    loaded.controllers.every(({ state }) => state === 'live') &&
    done.every(({ verified }) => verified !== false) &&
    (phase === null || phase.wrong === 0) &&
    (image === null || image.sha256 === image.fileSha256) &&
    unloaded.leaks.length === 0
  );
}
