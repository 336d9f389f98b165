/** Controllers behind root ports and switches: found, pulled, put in, and taken out by the slot's button and file. */
import { createMachine, type Machine, type MachineDescription, replay } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';

const PROFILES = ['6.12', '6.1', '4.13', '4.10'] as const;
type Profile = (typeof PROFILES)[number];
const BLOCK = new Uint8Array(4096).fill(0x5a);

/** A bay behind a root port, and a switch with a bay and a slot that has a button. */
function server(profile: Profile, nvme: MachineDescription['nvme']): Promise<Machine> {
  return createMachine({
    profile,
    cpus: 2,
    rootPorts: [
      { slot: 4, name: 'bay', physicalSlot: 7 },
      { slot: 5, switch: [{ name: 'left' }, { name: 'right', physicalSlot: 9, attentionButton: true }] },
    ],
    ...(nvme === undefined ? {} : { nvme }),
  });
}

const disk = (sizeMiB: number) => ({ namespaces: [{ sizeMiB }] });

/** Lines of the ports since `from`, without their times. */
function portLines(machine: Machine, from: number): string[] {
  return machine
    .dmesg()
    .slice(from)
    .flatMap((line) => /\] (pcie(?:port|hp) .*)$/.exec(line)?.[1] ?? []);
}

const blockDevices = (machine: Machine): string[] => machine.sysfs.list('/sys/block').sort();

/** Who says it: the port, or until 4.18 its hot-plug service. */
const speaker = (profile: Profile, bdf: string, service: string): string =>
  profile.startsWith('6') ? `pcieport ${bdf}: pciehp: ` : `pciehp ${bdf}:${service}: `;

describe.each(PROFILES)('controllers behind ports (%s)', (profile) => {
  const bay = speaker(profile, '0000:00:04.0', 'pcie004');
  const right = speaker(profile, '0000:03:01.0', 'pcie204');

  it('are found on their buses, and do I/O', async () => {
    const machine = await server(profile, [
      { port: 'bay', ...disk(1) },
      { port: 'left', ...disk(2) },
      { port: 'right', ...disk(3) },
    ]);
    await machine.modprobe('nvme');
    await machine.settle();
    for (const [name, bdf] of [
      ['nvme0', '0000:01:00.0'],
      ['nvme1', '0000:04:00.0'],
      ['nvme2', '0000:05:00.0'],
    ] as const) {
      expect(machine.sysfs.readlink(`/sys/class/nvme/${name}/device`)).toMatch(new RegExp(`${bdf}$`));
      expect(machine.device(bdf).pdev?.dev.driver?.name).toBe('nvme');
      expect(machine.device(bdf.slice(5)).bdf).toBe(bdf);
      await machine.disk(`${name}n1`).write(0, BLOCK);
      expect(await machine.disk(`${name}n1`).read(0, 4096)).toEqual(BLOCK);
    }
    expect(machine.dmesg().join('\n')).toContain('pci 0000:00:05.0: PCI bridge to [bus 02-05]');
    const cap = 'MRL- AttnInd+ PwrInd+ HotPlug+ Surprise+ Interlock- NoCompl+';
    const inBand = profile.startsWith('6') ? ' IbPresDis-' : '';
    expect(portLines(machine, 0)).toContain(`${right}Slot #9 AttnBtn+ PwrCtrl+ ${cap}${inBand} LLActRep+`);
    expect(machine.sysfs.list('/sys/bus/pci/slots').sort()).toEqual(['1', '7', '9']);
    expect(machine.sysfs.read('/sys/bus/pci/slots/9/address')).toBe('0000:05:00\n');
    expect(machine.procfs.read('/proc/interrupts')).toContain('pciehp');
  });

  it('are let go when they are pulled, and others take their places', async () => {
    const machine = await server(profile, [{ port: 'bay', ...disk(1) }]);
    await machine.modprobe('nvme');
    await machine.settle();
    const from = machine.dmesg().length;
    await machine.device('0000:01:00.0').unplug();
    await machine.settle();
    expect(blockDevices(machine)).toEqual([]);
    expect(machine.slot('bay').device).toBeNull();
    expect(() => machine.device('0000:01:00.0')).toThrow('there is no PCI function 0000:01:00.0');
    const put = await machine.plug({ port: 'bay', ...disk(2) });
    expect([put.bdf, put.pdev?.dev.driver?.name]).toEqual(['0000:01:00.0', 'nvme']);
    await machine.settle();
    expect(machine.disk('nvme0n1').sizeBytes).toBe(2 << 20);
    await machine.disk('nvme0n1').write(0, BLOCK);
    const texts = profile.startsWith('6')
      ? ['Link Down', 'Card not present', 'Card present', 'Link Up']
      : ['Link Down', 'Link Up'];
    expect(portLines(machine, from)).toEqual(texts.map((text) => `${bay}Slot(7): ${text}`));
  });

  it('are let go and powered off five seconds after the button was pressed, and come back by it', async () => {
    const machine = await server(profile, [{ port: 'right', ...disk(1) }]);
    await machine.modprobe('nvme');
    await machine.settle();
    await machine.disk('nvme0n1').write(0, BLOCK);
    const from = machine.dmesg().length;
    await machine.slot('right').pressAttentionButton();
    await machine.run(4e9);
    expect(blockDevices(machine)).toEqual(['nvme0n1']);
    await machine.run(3e9);
    expect(blockDevices(machine)).toEqual([]);
    expect(await machine.sysfs.cat('/sys/bus/pci/slots/9/power')).toBe('0\n');
    // It still stands there, without power; its data do not need any.
    expect(machine.slot('right').device?.pdev).toBeNull();
    expect(() => machine.device('0000:05:00.0')).toThrow('there is no PCI function');
    await machine.slot('right').pressAttentionButton();
    await machine.run(7e9);
    expect(await machine.disk('nvme0n1').read(0, 4096)).toEqual(BLOCK);
    expect(portLines(machine, from)).toEqual(buttonLines(profile).map((text) => right + text));
  });

  it('stay when the button is pressed again', async () => {
    const machine = await server(profile, [{ port: 'right', ...disk(1) }]);
    await machine.modprobe('nvme');
    await machine.settle();
    const from = machine.dmesg().length;
    await machine.slot('right').pressAttentionButton();
    await machine.run(2e9);
    await machine.slot('right').pressAttentionButton();
    await machine.run(9e9);
    expect(blockDevices(machine)).toEqual(['nvme0n1']);
    const last = portLines(machine, from).at(-1);
    if (profile === '6.12') expect(last).toBe(`${right}Slot(9): Button press: canceling request to power off`);
    else expect(last).toBe(`${right}Slot(9): Action canceled due to button press`);
  });
});

/** What is said of the slot with the button while it goes off and on. */
function buttonLines(profile: Profile): string[] {
  if (profile === '6.12') {
    return [
      'Slot(9): Button press: will power off in 5 sec',
      'Slot(9): Button press: will power on in 5 sec',
      'Slot(9): Card present',
    ];
  }
  const pressed = 'Slot(9): Attention button pressed';
  const off = 'Slot(9): Powering off due to button press';
  const on = 'Slot(9) Powering on due to button press';
  if (profile === '6.1') return [pressed, off, pressed, on, 'Slot(9): Card present'];
  const down = ['Slot(9): Link Down', 'Slot(9): Link Down event ignored; already powering off'];
  return [
    pressed,
    off,
    ...down,
    pressed,
    on,
    'Slot(9): Link Up',
    'Slot(9): Link Up event ignored; already powering on',
  ];
}

describe('a slot', () => {
  it('is powered off before an orderly removal: the controller is shut down, and nothing is lost', async () => {
    const machine = await server('6.12', [{ port: 'right', ...disk(1) }, disk(2)]);
    await machine.modprobe('nvme');
    await machine.settle();
    const from = machine.trace.entries.length;
    await machine.device('0000:05:00.0').eject();
    await machine.device('0000:00:03.0').eject();
    await machine.settle();
    expect(blockDevices(machine)).toEqual([]);
    const shutdowns = machine.trace.entries.slice(from).filter(({ symbol, args }) => {
      return symbol === 'pci_nvme_mmio_write' && args[0] === 0x14 && ((args[1] as number) & 0xc000) === 0x4000;
    });
    expect(shutdowns.length).toBe(2);
    expect([machine.slot('right').device, machine.subsystems.platform.dmaFaultCount]).toEqual([null, 0]);
  });

  it('can be switched by its file', async () => {
    const machine = await server('6.12', [{ port: 'bay', ...disk(1) }]);
    await machine.modprobe('nvme');
    await machine.settle();
    const file = '/sys/bus/pci/slots/7/power';
    await machine.sysfs.write(file, '0');
    expect(blockDevices(machine)).toEqual([]);
    await expect(machine.sysfs.write(file, '0')).rejects.toMatchObject({ code: 'ENODEV' });
    await machine.sysfs.write(file, '1');
    await machine.settle();
    expect(blockDevices(machine)).toEqual(['nvme0n1']);
  });

  it('gives a card that was pulled in the midst of I/O back its errors, not a hang', async () => {
    const latency = { kind: 'fixed', readNs: 5e6 } as const;
    const machine = await server('6.12', [{ port: 'left', latency, ...disk(1) }]);
    await machine.modprobe('nvme');
    await machine.settle();
    const reading = machine.disk('nvme0n1').read(0, 4096);
    await machine.run(1e6);
    await machine.device('0000:04:00.0').unplug();
    await expect(reading).rejects.toMatchObject({ code: 'EIO' });
    await machine.settle();
    expect(blockDevices(machine)).toEqual([]);
  });

  it('says whose card stands in it, and refuses what cannot be', async () => {
    const machine = await server('6.12', [{ port: 'bay', ...disk(1) }]);
    expect(machine.slot('bay').device?.bdf).toBe('0000:01:00.0');
    expect(() => machine.slot('attic')).toThrow('there is no port attic; allowed: bay, left, right');
    expect(() => machine.slot('port5')).toThrow('port port5 has a switch behind it; allowed: a port with a slot');
    await expect(machine.slot('bay').pressAttentionButton()).rejects.toThrow('no attention button');
    await expect(machine.plug({ port: 'bay' })).rejects.toThrow('machine.plug.port is "bay", whose slot is taken');
    await expect(machine.device('0000:03:00.0').unplug()).rejects.toThrow('0000:03:00.0 is a port');
    expect(() => machine.device('0001:01:00.0')).toThrow('there is no PCI function 0001:01:00.0');
  });

  it('is in the journal: the run repeats, entry for entry', async () => {
    const machine = await server('6.12', [{ port: 'right', ...disk(1) }]);
    await machine.modprobe('nvme');
    await machine.plug({ port: 'left', ...disk(2) });
    await machine.slot('right').pressAttentionButton();
    await machine.run(8e9);
    await machine.device('04:00.0').eject();
    await machine.run(2e9);
    const again = await replay(machine.journal());
    expect(again.trace.hash()).toBe(machine.trace.hash());
    expect(again.dmesg()).toEqual(machine.dmesg());
  });
});

describe('a description with ports', () => {
  it.each<[string, MachineDescription]>([
    ['machine.nvme[0].port is "attic"; allowed: port4', { rootPorts: [{ slot: 4 }], nvme: [{ port: 'attic' }] }],
    ['machine.nvme[0].port is "x"; allowed: none, rootPorts has no port with a slot', { nvme: [{ port: 'x' }] }],
    [
      'machine.nvme[1].port is "port4"; allowed is one that nvme[0] does not have',
      { rootPorts: [{ slot: 4 }], nvme: [{ port: 'port4' }, { port: 'port4' }] },
    ],
    [
      'machine.nvme[0].slot is 4; allowed is one that rootPorts[0] does not have',
      { rootPorts: [{ slot: 4 }], nvme: [{ slot: 4 }] },
    ],
    [
      'machine.nvme[0].slot is 3; allowed: none beside port "port4"',
      { rootPorts: [{ slot: 4 }], nvme: [{ slot: 3, port: 'port4' }] },
    ],
    [
      'machine.rootPorts[1].name is "a"; allowed is one that no other port has',
      {
        rootPorts: [
          { slot: 4, name: 'a' },
          { slot: 5, name: 'a' },
        ],
      },
    ],
    ['machine.rootPorts[0].slot is missing', { rootPorts: [{} as { slot: number }] }],
    [
      "machine.rootPorts[0].slot is 2; allowed are 3 to 30, those before are the chipset's",
      { rootPorts: [{ slot: 2 }] },
    ],
  ])('refuses with one sentence: %s', async (sentence, description) => {
    await expect(createMachine(description)).rejects.toThrow(sentence);
  });

  it('has other functions beside controllers', async () => {
    const machine = await createMachine({
      rootPorts: [{ slot: 4 }],
      functions: [{ port: 'port4', vendorId: 0x8086, deviceId: 0x10d3, classCode: 0x020000, memoryKiB: 128 }],
    });
    expect(machine.sysfs.read('/sys/bus/pci/devices/0000:01:00.0/class')).toBe('0x020000\n');
    expect(machine.device('01:00.0').pdev?.bars[0]?.sizeBytes).toBe(128 << 10);
  });
});
