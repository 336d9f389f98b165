/** What QEMU is started with: controllers and namespaces, with properties under QEMU's own names. */

/** Properties of a QEMU device under its names: `cmb_size_mb`, `mdts`, `logical_block_size`. */
export type QemuProperties = Readonly<Record<string, string | number | boolean>>;

/** A namespace. */
export interface QemuNamespace {
  /** Default: the next free one. */
  readonly nsid?: number;
  /** Bytes of a fresh, empty medium; not needed with `file` or `node`. */
  readonly sizeBytes?: number;
  /** Path of a raw image. */
  readonly file?: string;
  readonly readOnly?: boolean;
  /** A block node in QEMU's words (`blockdev-add`), instead of a raw file: `{ driver: 'null-co', size: 1 << 24 }`. `MEDIUM` as a value stands for the path of the medium. */
  readonly node?: Readonly<Record<string, unknown>>;
  /** It stands beside the controller (`nvme-ns`) even when it is the only one. Default false. */
  readonly ownDevice?: boolean;
  /** Further properties of `nvme-ns`, or of `nvme` for a controller's only namespace. */
  readonly properties?: QemuProperties;
}

/** An NVMe controller. */
export interface QemuController {
  /** 1 to 24; of its root port when `behindPort` is true. */
  readonly slot: number;
  /** In the hot-plug slot of a root port. Default false. */
  readonly behindPort?: boolean;
  readonly serial?: string;
  /** Name of the NVM subsystem it shares with others of that name; default: one of its own. */
  readonly subsystem?: string;
  /** Further properties of `nvme`. */
  readonly properties?: QemuProperties;
  readonly namespaces: readonly QemuNamespace[];
}

/** What QEMU is started with. */
export interface QemuOptions {
  readonly controllers: readonly QemuController[];
  /** Path or name of the program; default `qemu-system-x86_64`. */
  readonly executable?: string;
  /** Guest RAM, all of it DMA memory but the first; MiB, 16 to 2048, default 256. */
  readonly ramMiB?: number;
  /** Root ports without a card; those of controllers come by themselves. */
  readonly emptyPorts?: readonly number[];
  /** Interrupt messages that can be told apart, 32 a bell; 1 to 8 bells, default 4. */
  readonly bells?: number;
  /** Without an answer for so long QEMU is ended; milliseconds of real time, default 30000. */
  readonly answerTimeoutMs?: number;
  /** Trace points that QEMU writes down, as `-trace` takes them: `pci_nvme_*`. */
  readonly trace?: readonly string[];
  /** Further arguments. */
  readonly arguments?: readonly string[];
}

/** Stands for the path of a namespace's medium in `QemuNamespace.node`. */
export const MEDIUM = '@medium@';

/** Throws a RangeError that names the option, its value and what is allowed. */
export function checkOptions(options: QemuOptions): void {
  range('ramMiB', options.ramMiB ?? 256, 16, 2048);
  range('bells', options.bells ?? 4, 1, 8);
  range('answerTimeoutMs', options.answerTimeoutMs ?? 30_000, 100, 3_600_000);
  const taken = new Set<number>();
  for (const slot of [...options.controllers.map((one) => one.slot), ...(options.emptyPorts ?? [])]) {
    range('slot', slot, 1, 24);
    if (taken.has(slot)) throw new RangeError(`slot ${slot} is given twice; allowed: each slot once`);
    taken.add(slot);
  }
}

function range(name: string, value: number, minimum: number, maximum: number): void {
  if (value % 1 === 0 && value >= minimum && value <= maximum) return;
  throw new RangeError(`${name} is ${value}; allowed: a whole number from ${minimum} to ${maximum}`);
}
