// The ports of v86-nvme: what a user states when a controller is put into an emulated PC, and what they get back.
// Kernel counterpart: none (the board). Spec: [PCI] 3.0 §3.2.2.3, §6.
import type { DeviceTraceEvent } from '@nvme-stack/pci-function';

/** How a controller sits in the PC; everything has a default. */
export interface AttachNvmeOptions {
  /** Device number on PCI bus 0, 1..31; the first free one from 3 unless told. A snapshot needs the same slot again. */
  readonly slot?: number;
  /**
   * Address of BAR0 until firmware or operating system move it: a multiple of the BAR's size between the end of RAM and
   * 0xfec00000. Just below 0xfec00000 unless told.
   */
  readonly bar?: number;
  /**
   * False hides MSI-X, so that the driver uses INTx. True unless told in an emulator with a local APIC to send messages
   * to, which v86 has with its option `acpi: true`; false in others.
   */
  readonly msix?: boolean;
  /** Seed of the controller's random streams; 1 unless told. */
  readonly seed?: number;
  /** Called with every trace event of the controller, inside the access or the command it tells of. */
  readonly trace?: (event: DeviceTraceEvent, a: number, b: number, c: number, d: number) => void;
}

/** A controller in its slot. */
export interface NvmeAttachment {
  /** Device number on PCI bus 0. */
  readonly slot: number;
  /** Size of BAR0 in bytes. */
  readonly barBytes: number;
  /** Where BAR0 answers at present; 0 while memory decoding is off. */
  readonly bar: number;
  /** Surprise removal: from now on every access reads all ones and nothing the controller does reaches the PC. */
  unplug(): void;
}
