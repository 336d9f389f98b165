/** Controllers that share the subsystem and the namespaces of another: several paths to one disk. */
import type { MachineNvme } from './description.js';

/** What a controller has from the one it shares with. */
const SHARED = ['namespaces', 'serial', 'model', 'firmware', 'subsystemNqn', 'properties'] as const;

/** Throws a RangeError when a controller that shares another's namespaces says what that one says. */
export function checkSharing(nvme: MachineNvme, path: string, earlier: number): void {
  const { sharesWith } = nvme;
  if (sharesWith === undefined) return;
  if (sharesWith >= earlier)
    throw new RangeError(`${path}.sharesWith is ${sharesWith}; allowed is the index of an earlier controller`);
  for (const name of SHARED) {
    if (nvme[name] === undefined) continue;
    throw new RangeError(
      `${path}.${name} is there; allowed with sharesWith: absent, it is that of nvme[${sharesWith}]`,
    );
  }
}

/** Checks who shares with whom, and lets the others be shared with. Throws one RangeError. */
export function prepareSharing(controllers: readonly MachineNvme[]): MachineNvme[] {
  controllers.forEach((nvme, index) => {
    checkSharing(nvme, `machine.nvme[${index}]`, index);
    if (nvme.sharesWith !== undefined && controllers[nvme.sharesWith]?.sharesWith !== undefined)
      throw new RangeError(
        `machine.nvme[${index}].sharesWith is ${nvme.sharesWith}; allowed is a controller with namespaces of its own`,
      );
  });
  return controllers.map((nvme, index) =>
    controllers.some(({ sharesWith }) => sharesWith === index) ? { ...nvme, multiController: true } : nvme,
  );
}
