/** A program that uses QEMU and never closes it: says QEMU's process id once it does I/O. `for-ever` or `returns`. */
import { writeSync } from 'node:fs';
import { createMachine } from '@nvme-stack/machine';
import { qemuBoard } from '@nvme-stack/machine/node';
import { startQemu } from '@nvme-stack/platform-qemu/node';

const qemu = await startQemu({ controllers: [{ slot: 1, namespaces: [{ sizeBytes: 1 << 20 }] }] });
const machine = await createMachine({ cpus: 1, memoryMiB: 16 }, { parts: { board: qemuBoard(qemu) } });
await machine.modprobe('nvme');
const disk = machine.disk('nvme0n1');
await disk.read(0, 4096);
writeSync(1, `${qemu.pid}\n`);
while (process.argv[2] === 'for-ever') await disk.read(0, 4096);
