/** Several controllers: what a description says of each, and those that are put in later. */
import { SparseBlockStore } from '@nvme-stack/nvme-controller';
import { expect, it } from 'vitest';
import { createMachine, type Machine, type StoreRequest } from './index.js';

const controllers = (machine: Machine): string[] => machine.sysfs.list('/sys/class/nvme').sort();

it('are all usable when none has a serial number of its own', async () => {
  const nvme = [{ namespaces: [{ sizeMiB: 1 }] }, { namespaces: [{ sizeMiB: 2 }] }];
  await expect(createMachine({ nvme: [{ slot: 1 }] })).rejects.toThrow(
    new RangeError("machine.nvme[0].slot is 1; allowed are 3 to 30, those before are the chipset's"),
  );
  const machine = await createMachine({ nvme });
  await machine.modprobe('nvme');
  await machine.plug({ namespaces: [{ sizeMiB: 3 }] });
  await machine.plug({ namespaces: [{ sizeMiB: 4 }] });
  expect(controllers(machine)).toEqual(['nvme0', 'nvme1', 'nvme2', 'nvme3']);
  const sizes = ['nvme0n1', 'nvme1n1', 'nvme2n1', 'nvme3n1'].map((name) => machine.disk(name).sizeBytes >> 20);
  expect(sizes).toEqual([1, 2, 3, 4]);
});

it('refuse a slot that another has', async () => {
  await expect(createMachine({ nvme: [{ slot: 3 }, {}, { slot: 3 }] })).rejects.toThrow(
    new RangeError('machine.nvme[2].slot is 3; allowed is one that nvme[0] does not have'),
  );
  const machine = await createMachine();
  await expect(machine.plug({ slot: 3 })).rejects.toThrow(
    new RangeError('machine.plug.slot is 3, which is taken; allowed: an empty slot'),
  );
});

it('are checked like the first ones when they are plugged in', async () => {
  const machine = await createMachine();
  await machine.modprobe('nvme');
  const { items } = machine.subsystems.kernel.ex;
  const wrong = { serail: 'X' } as object;
  await expect(machine.plug(wrong)).rejects.toThrow('machine.plug.serail is not known');
  await expect(machine.plug({ slot: 99 })).rejects.toThrow('machine.plug.slot is 99; allowed: a whole number from 1');
  await expect(machine.plug({ namespaces: [{ file: 'disk.img' }] })).rejects.toThrow(
    '"disk.img" needs the entry point',
  );
  expect([machine.journal().calls.length, machine.subsystems.kernel.ex.items]).toEqual([1, items]);
});

it('have the media of the user’s own when they are plugged in', async () => {
  const asked: StoreRequest[] = [];
  const blockStore = (request: StoreRequest): SparseBlockStore => {
    asked.push(request);
    const store = new SparseBlockStore(request.sizeBytes);
    let status = -1;
    store.write(0, 512, {
      piece: (bytes, offset, length) => {
        bytes.fill(asked.length, offset, offset + length);
        return 0;
      },
      done: (outcome) => {
        status = outcome;
      },
    });
    expect(status).toBe(0);
    return store;
  };
  const machine = await createMachine({ nvme: [{ namespaces: [{ sizeMiB: 1 }] }] }, { parts: { blockStore } });
  await machine.modprobe('nvme');
  await machine.plug({ namespaces: [{ sizeMiB: 2 }, { nsid: 7, sizeMiB: 3, readOnly: true }] });
  expect(
    asked.map(({ controller, nsid, sizeBytes, readOnly }) => [controller, nsid, sizeBytes >> 20, readOnly]),
  ).toEqual([
    [0, 1, 1, false],
    [1, 1, 2, false],
    [1, 7, 3, true],
  ]);
  const first = await Promise.all(
    ['nvme0n1', 'nvme1n1', 'nvme1n2'].map(async (name) => (await machine.disk(name).read(0, 512))[511]),
  );
  expect(first).toEqual([1, 2, 3]);
});
