/** Where the virtual functions of a controller come to stand: the device and function numbers behind its own, which must be free. */
import type { MachineNvme } from './description.js';
import type { MachineRootPort } from './pci-description.js';
import type { Places } from './places.js';

/** The last device and function number of a bus. */
const LAST_DEVFN = 0xff;
/** The chipset's first one of those behind every slot that a controller may have. */
const CHIPSET_DEVFN = 0x1f * 8;

/** Throws a RangeError when a controller at `devfn` would have more virtual functions than there are free numbers behind it. */
export function checkVfPlace(
  path: string,
  nvme: MachineNvme,
  devfn: number,
  isTaken: (devfn: number) => boolean,
): void {
  const { sriovMaxVfs: maxVfs = 0 } = nvme;
  for (let number = 1; number <= maxVfs; number++) {
    if (devfn + number <= LAST_DEVFN && !isTaken(devfn + number)) continue;
    throw new RangeError(
      `${path}.sriovMaxVfs is ${maxVfs}; allowed in slot ${devfn >>> 3}: at most ${number - 1}, for there is another function`,
    );
  }
}

/** The same for all controllers of a machine, at the slots they were given. */
export function checkVfPlaces(
  controllers: readonly MachineNvme[],
  places: Places,
  rootPorts: readonly MachineRootPort[],
): void {
  const slots = [...places.nvme, ...places.functions, ...rootPorts].map(({ slot }) => slot);
  controllers.forEach((nvme, index) => {
    const { slot } = places.nvme[index] as Places['nvme'][number];
    // Behind a port all the numbers of the bus are its own.
    if (slot === undefined) checkVfPlace(`machine.nvme[${index}]`, nvme, 0, () => false);
    else
      checkVfPlace(`machine.nvme[${index}]`, nvme, slot * 8, (one) => one >= CHIPSET_DEVFN || slots.includes(one / 8));
  });
}
