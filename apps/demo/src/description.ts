/** Which machine a run has: the described one or the default, with what the command line says. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { MachineDescription, MachineNvme } from '@nvme-stack/machine';
import { BadInput, refusal } from './input.js';
import { readMachine } from './machine-file.js';
import type { DemoOptions, Profile } from './options.js';

const SECTOR_BYTES = 512;

/** A disk that takes its time, so that queues fill: figures of a common SSD. */
const DEFAULT_NVME: MachineNvme = {
  latency: { kind: 'fixed', readNs: 70_000, writeNs: 20_000, flushNs: 100_000 },
  namespaces: [{ sizeMiB: 64 }],
};

/** QEMU's disk takes the time it takes. */
const QEMU_NVME: MachineNvme = { namespaces: [{ sizeMiB: 64 }] };

/** The description of a run's machine; relative paths start from `cwd`. Throws BadInput. */
export function describeMachine(options: DemoOptions, cwd: string, profile: Profile | null): MachineDescription {
  const { machine, disk, cpus, seed, writable } = options;
  const described: MachineDescription = machine === null ? {} : readMachine(resolve(cwd, machine), machine);
  const platform = options.platform ?? described.platform ?? 'sim';
  if (described.trace !== undefined && described.trace !== 'full') {
    throw new BadInput(`${machine}: machine.trace is "${described.trace}"; allowed: "full", which the demo shows.`);
  }
  const nvme = (described.nvme ?? [platform === 'qemu' ? QEMU_NVME : DEFAULT_NVME]).map((controller) =>
    withPaths(controller, cwd, writable),
  );
  if (disk !== null) nvme[0] = withImage(nvme[0] ?? {}, resolve(cwd, disk), disk, writable);
  return {
    ...described,
    platform,
    nvme,
    ...(profile === null ? {} : { profile }),
    ...(cpus === null ? {} : { cpus }),
    ...(seed === null ? {} : { seed, interleave: true }),
  };
}

/** Images of a described machine, found from where the caller stands, and read-only unless told. */
function withPaths(nvme: MachineNvme, cwd: string, writable: boolean): MachineNvme {
  const namespaces = nvme.namespaces?.map((namespace) => {
    const { file, readOnly = false } = namespace;
    if (file === undefined) return namespace;
    checkImage(resolve(cwd, file), 'namespace file', file, namespace.logicalBlockSize ?? SECTOR_BYTES);
    return { ...namespace, file: resolve(cwd, file), readOnly: readOnly || !writable };
  });
  return namespaces === undefined ? nvme : { ...nvme, namespaces };
}

/** The controller with the image as its only namespace. */
function withImage(nvme: MachineNvme, path: string, name: string, writable: boolean): MachineNvme {
  const logicalBlockSize = nvme.namespaces?.[0]?.logicalBlockSize ?? SECTOR_BYTES;
  checkImage(path, '--disk', name, logicalBlockSize);
  return { ...nvme, namespaces: [{ file: path, readOnly: !writable, logicalBlockSize }] };
}

/** A raw image is a file of whole blocks. */
function checkImage(path: string, field: string, name: string, blockBytes: number): void {
  let bytes: number;
  try {
    const stat = statSync(path);
    if (!stat.isFile()) throw refusal(field, name, 'the path of a raw disk image, a regular file');
    bytes = stat.size;
  } catch (error) {
    if (error instanceof BadInput) throw error;
    throw refusal(field, name, 'the path of a raw disk image that exists');
  }
  if (bytes === 0 || bytes % blockBytes !== 0) {
    throw new BadInput(
      `${field} is ${JSON.stringify(name)} of ${bytes} bytes; allowed: a raw disk image of whole blocks of ${blockBytes} bytes.`,
    );
  }
}
