/**
 * Protection information of one interval: guard, application and reference tag, big-endian, in two sizes.
 * Kernel counterpart: include/linux/t10-pi.h t10_pi_tuple, crc64_pi_tuple. [NVM] 5.2.1.1.
 *
 * A format makes one guard at a time: `begin`, `update` with each piece, then `writeGuard` or `guardMatches`.
 */
import { crcT10dif } from './crc-t10dif.js';
import { Crc64 } from './crc64.js';

/** @kernel include/linux/t10-pi.h T10_PI_APP_ESCAPE */
const APP_ESCAPE = 0xffff;
const TWO_16 = 65536;
const TWO_32 = 4294967296;

/** How the tuples of one size are read and written; `at` is where one begins in memory. */
export interface TupleFormat {
  /** Reference tags count modulo this. */
  readonly refModulus: number;
  begin(): void;
  update(bytes: Uint8Array, at: number, length: number): void;
  /** With an application tag of 0. */
  writeGuard(bytes: Uint8Array, at: number): void;
  guardMatches(bytes: Uint8Array, at: number): boolean;
  /** The two guards as the log shows them: of the tuple, and as made. */
  guardText(bytes: Uint8Array, at: number): readonly [string, string];
  readRef(bytes: Uint8Array, at: number): number;
  writeRef(bytes: Uint8Array, at: number, ref: number): void;
  /** The application tag says that nothing of this interval is to be checked; of type 3 the reference tag must say so too. */
  isEscaped(bytes: Uint8Array, at: number, hasRefTag: boolean): boolean;
}

function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

function readU32(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at) * TWO_16 + readU16(bytes, at + 2);
}

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  writeU16(bytes, at, value >>> 16);
  writeU16(bytes, at + 2, value & 0xffff);
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

/** 8 bytes: guard 16, application tag 16, reference tag 32 bits. @kernel include/linux/t10-pi.h t10_pi_tuple */
export class T10Tuple implements TupleFormat {
  readonly refModulus = TWO_32;
  private crc = 0;

  begin(): void {
    this.crc = 0;
  }
  update(bytes: Uint8Array, at: number, length: number): void {
    this.crc = crcT10dif(this.crc, bytes, at, length);
  }
  writeGuard(bytes: Uint8Array, at: number): void {
    writeU16(bytes, at, this.crc);
    writeU16(bytes, at + 2, 0);
  }
  guardMatches(bytes: Uint8Array, at: number): boolean {
    return readU16(bytes, at) === this.crc;
  }
  guardText(bytes: Uint8Array, at: number): readonly [string, string] {
    return [hex(readU16(bytes, at), 4), hex(this.crc, 4)];
  }
  readRef(bytes: Uint8Array, at: number): number {
    return readU32(bytes, at + 4);
  }
  writeRef(bytes: Uint8Array, at: number, ref: number): void {
    writeU32(bytes, at + 4, ref);
  }
  isEscaped(bytes: Uint8Array, at: number, hasRefTag: boolean): boolean {
    return readU16(bytes, at + 2) === APP_ESCAPE && (hasRefTag || this.readRef(bytes, at) === TWO_32 - 1);
  }
}

/** 16 bytes: guard 64, application tag 16, reference tag 48 bits. @kernel include/linux/t10-pi.h crc64_pi_tuple */
export class ExtTuple implements TupleFormat {
  readonly refModulus = TWO_32 * TWO_16;
  private readonly crc = new Crc64();

  begin(): void {
    this.crc.begin();
  }
  update(bytes: Uint8Array, at: number, length: number): void {
    this.crc.update(bytes, at, length);
  }
  writeGuard(bytes: Uint8Array, at: number): void {
    writeU32(bytes, at, this.crc.high);
    writeU32(bytes, at + 4, this.crc.low);
    writeU16(bytes, at + 8, 0);
  }
  guardMatches(bytes: Uint8Array, at: number): boolean {
    return readU32(bytes, at) === this.crc.high && readU32(bytes, at + 4) === this.crc.low;
  }
  guardText(bytes: Uint8Array, at: number): readonly [string, string] {
    const received = hex(readU32(bytes, at), 8) + hex(readU32(bytes, at + 4), 8);
    return [received, hex(this.crc.high, 8) + hex(this.crc.low, 8)];
  }
  readRef(bytes: Uint8Array, at: number): number {
    return readU16(bytes, at + 10) * TWO_32 + readU32(bytes, at + 12);
  }
  writeRef(bytes: Uint8Array, at: number, ref: number): void {
    writeU16(bytes, at + 10, Math.floor(ref / TWO_32));
    writeU32(bytes, at + 12, ref % TWO_32);
  }
  isEscaped(bytes: Uint8Array, at: number, hasRefTag: boolean): boolean {
    return readU16(bytes, at + 8) === APP_ESCAPE && (hasRefTag || this.readRef(bytes, at) === this.refModulus - 1);
  }
}
