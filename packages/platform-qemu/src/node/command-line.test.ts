import { describe, expect, it } from 'vitest';
import { commandLine } from './command-line.js';
import { MEDIUM } from './options.js';

const devices = (options: Parameters<typeof commandLine>[0]): string[] => {
  const { args } = commandLine(options, '/folder');
  return args.flatMap((arg, i) => (args[i - 1] === '-device' && !arg.startsWith('edu') ? [arg] : []));
};

describe('the command line', () => {
  it('hangs a controller’s only namespace on the controller, and makes its medium', () => {
    const line = commandLine({ controllers: [{ slot: 1, serial: 'S', namespaces: [{ sizeBytes: 512 }] }] }, '/folder');
    expect(line.media).toEqual([{ path: '/folder/node0n0', sizeBytes: 512 }]);
    expect(line.args.filter((arg) => arg.startsWith('nvme'))).toEqual([
      'nvme,id=nvme0,serial=S,addr=0x1,drive=node0n0',
    ]);
    expect(line.devices).toEqual([{ id: 'nvme0', slot: 1, behindPort: false }]);
  });

  it('gives several namespaces devices of their own', () => {
    const namespaces = [
      { sizeBytes: 512 },
      { nsid: 7, file: '/image', readOnly: true, properties: { detached: true } },
    ];
    expect(devices({ controllers: [{ slot: 2, serial: 'S', namespaces }] })).toEqual([
      'nvme,id=nvme0,serial=S,addr=0x2',
      'nvme-ns,drive=node0n0,bus=nvme0',
      'nvme-ns,drive=node0n1,bus=nvme0,nsid=7,detached=on',
    ]);
  });

  it('puts a card behind its root port, and controllers of one subsystem together', () => {
    const one = { behindPort: true, subsystem: 'nqn', namespaces: [] };
    const controllers = [
      { ...one, slot: 3, serial: 'A' },
      { ...one, slot: 4, serial: 'B' },
    ];
    expect(devices({ controllers, emptyPorts: [5] })).toEqual([
      ...[3, 4, 5].map((slot) => `pcie-root-port,id=port${slot},chassis=${slot},slot=${slot},addr=0x${slot}`),
      'nvme-subsys,id=nqn,nqn=nqn',
      'nvme,id=nvme0,serial=A,bus=port3,subsys=nqn',
      'nvme,id=nvme1,serial=B,bus=port4,subsys=nqn',
    ]);
  });

  it('passes properties on under their names, whatever is in them', () => {
    const properties = { mdts: 3, 'legacy-cmb': true, note: 'a,b' };
    expect(devices({ controllers: [{ slot: 1, serial: 'S', properties, namespaces: [] }] })).toEqual([
      'nvme,id=nvme0,serial=S,addr=0x1,mdts=3,legacy-cmb=on,note=a,,b',
    ]);
  });

  it('takes a block node in QEMU’s words, with the medium’s path in it', () => {
    const node = { driver: 'blkdebug', image: { driver: 'file', filename: MEDIUM } };
    const { args } = commandLine({ controllers: [{ slot: 1, namespaces: [{ sizeBytes: 512, node }] }] }, '/folder');
    expect(JSON.parse(args[args.indexOf('-blockdev') + 1] as string)).toEqual({
      driver: 'blkdebug',
      image: { driver: 'file', filename: '/folder/node0n0' },
      'node-name': 'node0n0',
    });
  });
});
