// The host memory of one command as segments, and a cursor that walks them while data moves.
// Kernel counterpart: none (the device's view of a scatterlist). Spec: [NVMe] 2.0 §4.1.

/** Segments of host memory in order; contiguous neighbours are one segment. Made once per command slot and reused. */
export class SegmentList {
  addresses: Float64Array;
  lengths: Float64Array;
  count: number;
  totalBytes: number;
  /** Cursor: segment and byte within it. */
  index: number;
  within: number;

  constructor(capacity = 4) {
    this.addresses = new Float64Array(capacity);
    this.lengths = new Float64Array(capacity);
    this.count = 0;
    this.totalBytes = 0;
    this.index = 0;
    this.within = 0;
  }

  /** Forgets all segments and rewinds. */
  clear(): void {
    this.count = 0;
    this.totalBytes = 0;
    this.index = 0;
    this.within = 0;
  }

  /** Moves the cursor back to the first byte. */
  rewind(): void {
    this.index = 0;
    this.within = 0;
  }

  /** Appends length bytes at a bus address. */
  add(address: number, length: number): void {
    const last = this.count - 1;
    this.totalBytes += length;
    if (last >= 0 && (this.addresses[last] as number) + (this.lengths[last] as number) === address) {
      this.lengths[last] = (this.lengths[last] as number) + length;
      return;
    }
    if (this.count === this.addresses.length) this.#grow();
    this.addresses[this.count] = address;
    this.lengths[this.count] = length;
    this.count++;
  }

  #grow(): void {
    const addresses = new Float64Array(this.addresses.length * 4);
    const lengths = new Float64Array(this.addresses.length * 4);
    addresses.set(this.addresses);
    lengths.set(this.lengths);
    this.addresses = addresses;
    this.lengths = lengths;
  }
}
