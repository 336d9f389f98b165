/** Power states as the driver keeps them. Kernel counterpart: struct nvme_id_power_state. [NVMe] 5.1.13.2. */

/** Latencies in microseconds. */
export interface PowerState {
  readonly flags: number;
  readonly entryLat: number;
  readonly exitLat: number;
}
