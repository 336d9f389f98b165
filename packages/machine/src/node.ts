/**
 * The front door in Node: namespaces may be raw disk images, and the devices may be QEMU's (`platform: 'qemu'`).
 *
 * @packageDocumentation
 */
import { statSync } from 'node:fs';
import { FileBlockStore } from '@nvme-stack/nvme-controller/node';
import { startQemu } from '@nvme-stack/platform-qemu/node';
import { type MachineDescription, type MachineNamespace, type MachineNvme, resolveMachine } from './description.js';
import { createMachine as createMachineAnywhere, replayWith } from './machine.js';
import { qemuBoard } from './node/qemu-board.js';
import { qemuOptions } from './node/qemu-options.js';
import type { Journal, Machine, MachineOptions } from './ports.js';

export { QemuError, qemuMissing } from '@nvme-stack/platform-qemu/node';
export { type QemuBoardOptions, qemuBoard } from './node/qemu-board.js';
export { qemuOptions } from './node/qemu-options.js';

/** As the other entry point's, but a namespace with `file` is that raw image, read-only if it says so. Throws one sentence when the image cannot be used. */
export async function createMachine(
  description: MachineDescription = {},
  options: MachineOptions = {},
): Promise<Machine> {
  if (description.platform === 'qemu' && options.parts?.board === undefined) {
    return createOnQemu(description, options);
  }
  const stores: FileBlockStore[] = [];
  const own = options.parts?.blockStore;
  const machine = await createMachineAnywhere(withSizes(description), {
    ...options,
    parts: {
      ...options.parts,
      blockStore: (request) => {
        const store = own?.(request) ?? null;
        if (store !== null || request.file === null) return store;
        const file = new FileBlockStore(request.file, { readOnly: request.readOnly });
        stores.push(file);
        return file;
      },
    },
  });
  const { close, plug } = machine;
  const closeAll = (): void => {
    close();
    for (const store of stores.splice(0)) store.close();
  };
  return Object.defineProperties(machine, {
    close: { value: closeAll },
    plug: { value: async (nvme: MachineNvme) => plug(withControllerSizes(nvme)) },
    [Symbol.asyncDispose]: { value: async () => closeAll() },
  });
}

/**
 * As the other entry point's, with the images that the journal's machine had: they must hold what they held when it began, so
 * replay on copies. Rejects with a RangeError for a machine on QEMU, whose time is its own.
 */
export async function replay(
  journal: Journal,
  untilNs: number = Number.POSITIVE_INFINITY,
  options: MachineOptions = {},
): Promise<Machine> {
  if (journal.description.platform === 'qemu')
    throw new RangeError('journal.description.platform is "qemu"; allowed: "sim", for a run on QEMU happens once');
  return replayWith(createMachine, journal, untilNs, options);
}

/** Starts a QEMU for the machine, which ends with it. */
async function createOnQemu(description: MachineDescription, options: MachineOptions): Promise<Machine> {
  const qemu = await startQemu(qemuOptions(resolveMachine(description)));
  try {
    const parts = { ...options.parts, board: qemuBoard(qemu) };
    const machine = await createMachineAnywhere(description, { ...options, parts });
    const { close } = machine;
    return Object.defineProperties(machine, {
      close: {
        value: () => {
          close();
          void qemu.stop();
        },
      },
      [Symbol.asyncDispose]: {
        value: async () => {
          close();
          await qemu.stop();
        },
      },
    });
  } catch (error) {
    await qemu.stop();
    throw error;
  }
}

function withSizes(description: MachineDescription): MachineDescription {
  if (description.nvme === undefined) return description;
  return { ...description, nvme: description.nvme.map(withControllerSizes) };
}

function withControllerSizes(nvme: MachineNvme): MachineNvme {
  return nvme.namespaces === undefined ? nvme : { ...nvme, namespaces: nvme.namespaces.map(withSize) };
}

function withSize(namespace: MachineNamespace): MachineNamespace {
  const { file, sizeBytes, sizeMiB } = namespace;
  if (file === undefined || sizeBytes !== undefined || sizeMiB !== undefined) return namespace;
  const block = namespace.logicalBlockSize ?? 512;
  let size: number;
  try {
    size = statSync(file).size;
  } catch {
    throw new RangeError(`namespace file is ${JSON.stringify(file)}; allowed: the path of a readable raw image`);
  }
  if (size < block)
    throw new RangeError(
      `namespace file ${JSON.stringify(file)} has ${size} bytes; allowed: at least one block of ${block}`,
    );
  return { ...namespace, sizeBytes: Math.floor(size / block) * block };
}
