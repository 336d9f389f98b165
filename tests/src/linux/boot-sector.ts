/** A boot sector that reads sector 1 by INT 13h, inverts it, writes it to sector 2, and says on COM1 how that went. */

const SECTOR_BYTES = 512;
const LOAD_ADDRESS = 0x7c00;
/** Where the sector's data go, and their 256 words. */
const BUFFER = 0x8000;
const WORDS = 256;
const COM1 = 0x3f8;
const PACKET_BYTES = 16;

const word = (value: number): number[] => [value & 0xff, value >>> 8];

/** The 512 bytes; `N` on COM1 is what a boot that went well ends with, `E` one that did not. */
export function bootSector(): Uint8Array {
  const packetAt = SECTOR_BYTES - 2 - PACKET_BYTES;
  const packet = LOAD_ADDRESS + packetAt;
  const failed: number[] = [];
  const code: number[] = [];
  const emit = (...bytes: number[]): void => void code.push(...bytes);
  const int13 = (function_: number): void => {
    emit(0xb8, ...word(function_ << 8)); // mov ax, function << 8
    emit(0xbe, ...word(packet)); // mov si, packet
    emit(0xcd, 0x13); // int 13h; dl holds the boot drive
    emit(0x72, 0); // jc failed
    failed.push(code.length - 1);
  };
  emit(0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0); // xor ax, ax; mov ds, ax; mov es, ax; mov ss, ax
  emit(0xbc, ...word(LOAD_ADDRESS)); // mov sp, 7c00h
  int13(0x42); // extended read
  emit(0xbf, ...word(BUFFER), 0xb9, ...word(WORDS)); // mov di, buffer; mov cx, words
  emit(0xf7, 0x15, 0x83, 0xc7, 0x02, 0xe2, 0xf9); // again: not word [di]; add di, 2; loop again
  emit(0xc7, 0x06, ...word(packet + 8), ...word(2)); // mov word [packet + 8], 2: the next sector
  int13(0x43); // extended write
  emit(0xb0, 'N'.charCodeAt(0)); // mov al, 'N'
  emit(0xeb, 0x02); // jmp over the next
  for (const at of failed) code[at] = code.length - at - 1;
  emit(0xb0, 'E'.charCodeAt(0)); // failed: mov al, 'E'
  emit(0xba, ...word(COM1), 0xee); // mov dx, 3f8h; out dx, al
  emit(0xfa, 0xf4, 0xeb, 0xfd); // cli; stop: hlt; jmp stop
  const sector = new Uint8Array(SECTOR_BYTES);
  sector.set(code);
  sector.set([PACKET_BYTES, 0, ...word(1), ...word(BUFFER), ...word(0), ...word(1)], packetAt);
  sector.set([0x55, 0xaa], SECTOR_BYTES - 2);
  return sector;
}
