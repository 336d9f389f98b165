/** linux-guest: real Linux in v86 with our controllers in its PCI slots. */
export { type DebianFiles, debianFiles, PackagesMissing } from './debian.js';
export { bootController, bootedState, createEmulator, KERNEL_COMMAND_LINE, SLOT } from './emulator.js';
export { Guest, type GuestDisk, type GuestOptions } from './guest.js';
export { buildInitramfs } from './initramfs.js';
