import { createMachine } from '@nvme-stack/machine';
import { expect, it } from 'vitest';
import { captured } from './sysfs-capture.js';

/** Bytes of a dump of `hexdump -C`, 4096 of them; a star repeats the line before. */
function bytesOf(dump: string): Uint8Array {
  const bytes = new Uint8Array(4096);
  for (const line of dump.split('\n')) {
    const match = /^([0-9a-f]{8}) {2}((?:[0-9a-f]{2} {1,2}){16})\|/.exec(line);
    if (match === null) continue;
    const values = (match[2] as string).trim().split(/ +/);
    bytes.set(
      values.map((value) => Number.parseInt(value, 16)),
      Number.parseInt(match[1] as string, 16),
    );
  }
  return bytes;
}

/** Bits that another board or firmware gives differently: where BAR 0 lies, the line noted for the pin, I/O decoding and SERR#. */
const OF_THE_BOARD: ReadonlyMap<number, number> = new Map([
  [0x04, 0x01],
  [0x05, 0x01],
  [0x11, 0xff],
  [0x12, 0xff],
  [0x13, 0xff],
  [0x3c, 0xff],
]);

it('the configuration space under the driver is, byte for byte, that of the captured machine', async () => {
  const machine = await createMachine({ profile: '6.1', cpus: 2, nvme: [{ slot: 4, namespaces: [{ sizeMiB: 64 }] }] });
  await machine.modprobe('nvme');
  await machine.settle();
  const text = await machine.sysfs.cat('/sys/bus/pci/devices/0000:00:04.0/config');
  const linux = bytesOf(captured('pciconfig.hex'));
  expect([linux[0], linux[0x40], linux[0x80]]).toEqual([0x36, 0x11, 0x10]);
  expect(text.length).toBe(linux.length);
  const different = [...linux].flatMap((value, at) => {
    const ours = text.charCodeAt(at);
    const bits = (ours ^ value) & ~(OF_THE_BOARD.get(at) ?? 0);
    return bits === 0 ? [] : [`${at.toString(16)}: ${ours.toString(16)}, Linux ${value.toString(16)}`];
  });
  expect(different).toEqual([]);
});
