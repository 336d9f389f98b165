// The parts of v86 that its declarations do not name and a device needs, checked once when a device is attached.
// Kernel counterpart: none. v86 0.5.462: src/cpu.js, src/pci.js, src/io.js, src/acpi.js.

/** Reads memory-mapped registers at a physical address (which may arrive as a negative number). */
export type MmioRead = (address: number) => number;
/** Writes memory-mapped registers at a physical address (which may arrive as a negative number). */
export type MmioWrite = (address: number, value: number) => void;

/** v86's PCI bus: configuration accesses by bus, device and function number, one 256-byte space each. */
export interface V86Pci {
  readonly devices: readonly ({ readonly name: string } | undefined)[];
  readonly device_spaces: readonly (Int32Array | undefined)[];
  readonly pci_addr: Uint8Array;
  readonly pci_status32: Int32Array;
  readonly pci_response32: Int32Array;
  register_device(device: { pci_id: number; pci_space: number[]; pci_bars: []; name: string }): Int32Array;
  pci_query(): void;
  pci_write8(address: number, value: number): void;
  pci_write16(address: number, value: number): void;
  pci_write32(address: number, value: number): void;
  raise_irq(bdf: number): void;
  lower_irq(bdf: number): void;
  get_state(): unknown;
  set_state(state: unknown): void;
}

/** v86's power management device, there with `acpi: true`. */
export interface V86Acpi {
  gpe: Uint8Array;
}

/** v86's port and memory-mapped I/O. */
export interface V86Io {
  register_read(port: number, device: object, read8: () => number, read16: () => number, read32: () => number): void;
  register_write(port: number, device: object, write8: (value: number) => void): void;
}

/** v86's CPU. */
export interface V86Cpu {
  readonly mem8: Uint8Array;
  /** EFLAGS. */
  readonly flags: Int32Array;
  /** Bytes of RAM. */
  readonly memory_size: Uint32Array;
  /** Handlers of memory-mapped I/O, one per 128 KiB of physical address space. */
  readonly memory_map_read8: MmioRead[];
  readonly memory_map_write8: MmioWrite[];
  readonly memory_map_read32: MmioRead[];
  readonly memory_map_write32: MmioWrite[];
  readonly io: V86Io;
  readonly devices: { readonly pci: V86Pci; readonly acpi?: V86Acpi };
  /** Puts bytes into RAM and drops compiled code that lay there. */
  write_blob(bytes: Uint8Array, address: number): void;
  /** A dword write to physical memory or a register there. */
  write32(address: number, value: number): void;
  /** Called by the main loop between compiled blocks, with the time in ms; returns the ms until it is next needed. */
  run_hardware_timers(acpiEnabled: number, nowMs: number): number;
  /** Ends the main loop's idling. */
  stop_idling(): void;
  reboot_internal(): void;
}

/** The emulator as attachNvme needs it. */
export interface V86Machine {
  readonly cpu: V86Cpu;
  readonly isRunning: () => boolean;
}

const CPU_FUNCTIONS = ['write_blob', 'write32', 'run_hardware_timers', 'stop_idling', 'reboot_internal'] as const;
const CPU_OBJECTS = [
  'mem8',
  'flags',
  'memory_size',
  'memory_map_read8',
  'memory_map_write32',
  'io',
  'devices',
] as const;
const PCI_FUNCTIONS = [
  'register_device',
  'pci_query',
  'pci_write8',
  'pci_write16',
  'pci_write32',
  'set_state',
] as const;

/** The emulator's inside; throws an Error in one sentence if it is not loaded yet or not the v86 this was made for. */
export function openEmulator(emulator: object): V86Machine {
  const { v86, is_running } = emulator as { v86?: { cpu?: Partial<V86Cpu> }; is_running?: () => boolean };
  const cpu = v86?.cpu;
  if (cpu?.devices?.pci === undefined) {
    throw new Error("emulator is not ready: it must be a V86 whose event 'emulator-loaded' has come");
  }
  const missing = [
    ...CPU_FUNCTIONS.filter((name) => typeof cpu[name] !== 'function'),
    ...CPU_OBJECTS.filter((name) => typeof cpu[name] !== 'object'),
    ...PCI_FUNCTIONS.filter((name) => typeof cpu.devices?.pci[name] !== 'function'),
  ];
  if (missing.length > 0) {
    throw new Error(`emulator has no ${missing.join(', ')}: it must be of a v86 version in this package's peer range`);
  }
  return { cpu: cpu as V86Cpu, isRunning: () => is_running?.call(emulator) === true };
}
