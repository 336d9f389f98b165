// The fixed latency model: virtual nanoseconds per kind of command.
// Kernel counterpart: none.
import { NvmeNvmOpcode } from '@nvme-stack/nvme-protocol';
import type { LatencyDescription } from './description.js';
import type { LatencyModel } from './ports.js';

/** The model a description names; null takes no time. */
export function createLatencyModel(latency: LatencyDescription): LatencyModel | null {
  if (latency.kind === 'none') return null;
  const { readNs = 0, writeNs = 0, flushNs = 0, otherNs = 0, adminNs = 0 } = latency;
  return {
    latencyNs(sqid, opcode) {
      if (sqid === 0) return adminNs;
      if (opcode === NvmeNvmOpcode.read) return readNs;
      if (opcode === NvmeNvmOpcode.write) return writeNs;
      return opcode === NvmeNvmOpcode.flush ? flushNs : otherNs;
    },
  };
}
