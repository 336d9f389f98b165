/** The captured machine with QEMU's own controller in it, which writes down what our driver does to it. */
import { createMachine, type Machine, type MachineDescription } from '@nvme-stack/machine';
import { qemuBoard } from '@nvme-stack/machine/node';
import { startQemu } from '@nvme-stack/platform-qemu/node';
import type { GoldenMachine } from '../golden/machine-run.js';

const TRACE = 'pci_nvme_*';
const SLOT = 3;

/** Boots a machine on QEMU; of the description's controllers one takes part, with the captured size. */
export async function createGoldenMachine(description: MachineDescription): Promise<GoldenMachine> {
  const qemu = await startQemu({
    controllers: [{ slot: SLOT, namespaces: [{ sizeBytes: 64 << 20 }] }],
    trace: [TRACE],
  });
  let machine: Machine;
  try {
    machine = await createMachine({ ...description, nvme: [] }, { parts: { board: qemuBoard(qemu) } });
  } catch (error) {
    await qemu.stop();
    throw error;
  }
  const { close } = machine;
  return Object.assign(machine, {
    deviceTrace: () => qemu.traceText(),
    close: () => {
      close();
      void qemu.stop();
    },
  });
}
