/** A whole disk image through the stack: what is on its partitions, and the SHA-256 of every byte. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type Machine, REQ_OP_READ } from '@nvme-stack/machine';
import { type FileSystem, identify, PROBE_BYTES } from './file-systems.js';
import { withJobs } from './jobs.js';
import type { OnProgress } from './progress.js';
import type { FoundDisk } from './session.js';

const CHUNK_BYTES = 1 << 17;
/** So many reads stay in the trace; the rest runs as after `echo 0 > tracing_on`. */
const TRACED_REQUESTS = 16;
/** Chunks that each job reads before all that was read is hashed in its order. */
const CHUNKS_PER_ROUND = 4;

/** A disk or partition and what stands on it. */
export interface Volume {
  readonly name: string;
  readonly startSector: number;
  readonly sizeBytes: number;
  readonly fileSystem: FileSystem | null;
}

/** The image as it was read. */
export interface ImageRead {
  readonly disk: string;
  readonly sizeBytes: number;
  readonly requests: number;
  readonly jobs: number;
  readonly chunkBytes: number;
  readonly virtualNs: number;
  /** SHA-256 of what came through the stack, and of the file. */
  readonly sha256: string;
  readonly fileSha256: string;
}

/** The disk and its partitions, each with its file system. */
export async function volumes(machine: Machine, found: FoundDisk): Promise<Volume[]> {
  const parts = [{ name: found.name, startSector: 0, sectors: found.sizeBytes / 512 }, ...found.partitions];
  const all: Volume[] = [];
  for (const { name, startSector, sectors } of parts) {
    const disk = machine.disk(name);
    const block = found.blockSizeBytes;
    const bytes = await disk.read(0, Math.min(PROBE_BYTES, Math.floor(disk.sizeBytes / block) * block));
    all.push({ name, startSector, sizeBytes: sectors * 512, fileSystem: identify(bytes) });
  }
  return all;
}

/** Reads every byte at queue depth and hashes it, then hashes the file itself. */
export async function readImage(
  machine: Machine,
  { name, sizeBytes }: FoundDisk,
  path: string,
  onProgress: OnProgress,
): Promise<ImageRead> {
  const { trace } = machine.subsystems.kernel;
  const hash = createHash('sha256');
  const startNs = machine.nowNs;
  let requests = 0;
  let jobCount = 0;
  await withJobs(machine, name, CHUNK_BYTES, async (jobs) => {
    jobCount = jobs.length;
    const perRound = jobs.length * CHUNKS_PER_ROUND;
    const chunks = Math.ceil(sizeBytes / CHUNK_BYTES);
    try {
      for (let first = 0; first < chunks; first += perRound) {
        const round = await Promise.all(
          jobs.map((job, index) =>
            machine.task(
              `read/${job.cpu}`,
              async (subsystems) => {
                const read: Uint8Array[] = [];
                for (let k = 0; k < CHUNKS_PER_ROUND; k++) {
                  const offset = (first + k * jobs.length + index) * CHUNK_BYTES;
                  const length = Math.min(CHUNK_BYTES, sizeBytes - offset);
                  if (length <= 0) break;
                  await job.transfer(subsystems, REQ_OP_READ, offset, length);
                  read.push(job.buffer.read(0, length));
                  if (++requests === TRACED_REQUESTS) trace.tracingOn = false;
                }
                return read;
              },
              job.cpu,
            ),
          ),
        );
        for (let k = 0; k < CHUNKS_PER_ROUND; k++) {
          for (const read of round) if (read[k] !== undefined) hash.update(read[k] as Uint8Array);
        }
        onProgress(Math.min((first + perRound) * CHUNK_BYTES, sizeBytes), sizeBytes);
      }
    } finally {
      trace.tracingOn = true;
    }
  });
  const virtualNs = machine.nowNs - startNs;
  const fileSha256 = await hashFile(path);
  const counts = { requests, jobs: jobCount, chunkBytes: CHUNK_BYTES, virtualNs };
  return { disk: name, sizeBytes, ...counts, sha256: hash.digest('hex'), fileSha256 };
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}
