/** Jobs as fio has them: kernel tasks on every CPU, each with a buffer and one bio in flight. */
import { BLK_STS_OK, type IoBuffer, type Machine, type Subsystems } from '@nvme-stack/machine';

type Bio = ReturnType<Machine['allocBio']>;

/** Jobs of all CPUs together, and of one. */
const MOST_JOBS = 64;
const MOST_JOBS_PER_CPU = 16;

/** What one job has. */
export interface Job {
  readonly cpu: number;
  readonly buffer: IoBuffer;
  /** Moves `lengthBytes` between the buffer and the disk, waits for the end and returns virtual nanoseconds. */
  transfer(subsystems: Subsystems, opf: number, offsetBytes: number, lengthBytes: number): Promise<number>;
}

/** How many jobs each CPU has. */
export function jobsPerCpu(cpus: number): number {
  return Math.min(Math.max(Math.floor(MOST_JOBS / cpus), 1), MOST_JOBS_PER_CPU);
}

/** Runs `work` in every job at once, and frees what the jobs had. Rejects with the first error. */
export async function withJobs<T>(
  machine: Machine,
  disk: string,
  bufferBytes: number,
  work: (jobs: readonly Job[]) => Promise<T>,
): Promise<T> {
  const jobs: Job[] = [];
  try {
    const { cpus } = machine.description;
    for (let i = 0; i < cpus * jobsPerCpu(cpus); i++) jobs.push(createJob(machine, disk, i % cpus, bufferBytes));
    return await work(jobs);
  } finally {
    for (const { buffer } of jobs) buffer.free();
  }
}

function createJob(machine: Machine, name: string, cpu: number, bufferBytes: number): Job {
  const buffer = machine.allocBuffer(bufferBytes);
  const bio = machine.allocBio(buffer.pages.length);
  return {
    cpu,
    buffer,
    transfer: async ({ blkMq, kernel }, opf, offsetBytes, lengthBytes) => {
      aim(bio, buffer, blkMq.lookup(name), opf, offsetBytes, lengthBytes);
      const startNs = kernel.ex.now();
      const status = await blkMq.submitBioWait(bio);
      if (status !== BLK_STS_OK)
        throw new Error(`${name}: I/O at byte ${offsetBytes} ended with block status ${status}`);
      return kernel.ex.now() - startNs;
    },
  };
}

const PAGE_BYTES = 4096;
const SECTOR_BYTES = 512;

/** Points the bio at its place on the disk and at the buffer's pages. */
function aim(
  bio: Bio,
  buffer: IoBuffer,
  found: ReturnType<Subsystems['blkMq']['lookup']>,
  opf: number,
  offsetBytes: number,
  lengthBytes: number,
): void {
  if (found === null) throw new Error('the disk is gone');
  bio.disk = found.disk;
  bio.opf = opf;
  bio.sector = found.startSector + offsetBytes / SECTOR_BYTES;
  bio.sizeBytes = lengthBytes;
  bio.status = BLK_STS_OK;
  bio.vcnt = Math.ceil(lengthBytes / PAGE_BYTES);
  for (let i = 0; i < bio.vcnt; i++) {
    bio.vecAddr[i] = buffer.pages[i] as number;
    bio.vecLengthBytes[i] = Math.min(PAGE_BYTES, lengthBytes - i * PAGE_BYTES);
  }
}
