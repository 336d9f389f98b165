/** What happens during one write and one read, step by step. */
import type { Paint } from '../paint.js';
import type { Demo, TraceEntry, Transfer } from '../run.js';
import { us } from './text.js';

type Told = (args: Readonly<Record<string, number>>, entry: TraceEntry) => string | null;

const hex = (value: number): string => `0x${value.toString(16)}`;

/** Events worth telling, by their names; null: not this one. */
const TOLD: Readonly<Record<string, Told>> = {
  block_bio_queue: ({ sector, nr_sector }, { text }) => `bio queued: sector ${sector}, ${nr_sector} sectors, ${text}`,
  block_rq_issue: ({ bytes }) => `request issued to nvme_queue_rqs: ${bytes} bytes`,
  nvme_setup_cmd: (_, { text }) => `command: ${/qid=.*/.exec(text)?.[0] ?? text}`,
  pci_nvme_mmio_doorbell_sq: ({ sqid, new_tail }) => `doorbell: submission queue ${sqid}, tail ${new_tail}`,
  pci_nvme_io_cmd: ({ cid, sqid }) => `controller fetches command ${hex(cid as number)} from submission queue ${sqid}`,
  pci_nvme_map_prp: ({ prp1, len }) => `controller maps PRP1 ${hex(prp1 as number)}, ${len} bytes`,
  dma_read: ({ addr, len }) => ((len as number) >= 512 ? `DMA: the controller reads ${len} bytes at ${hex(addr as number)}` : null),
  dma_write: ({ addr, len }) => ((len as number) >= 512 ? `DMA: the controller writes ${len} bytes at ${hex(addr as number)}` : null),
  pci_nvme_enqueue_req_completion: ({ cid, cqid, status }) =>
    `controller posts completion of ${hex(cid as number)} to completion queue ${cqid}, status ${status}`,
  msi_notify: ({ cpu, vector }, _entry) => `MSI-X message to CPU ${cpu}, its vector ${vector}`,
  irq_handler_entry: ({ irq }, { text }) => `interrupt ${irq}, ${text}: nvme_irq`,
  pci_nvme_mmio_doorbell_cq: ({ cqid, new_head }) => `doorbell: completion queue ${cqid}, head ${new_head}`,
  block_rq_complete: ({ error }) => `request complete, error ${error}`,
};

export function ioScreen({ io }: Demo, paint: Paint): string[] {
  return io.flatMap((transfer, i) => [...(i > 0 ? [''] : []), ...one(transfer, paint)]);
}

function one(transfer: Transfer, paint: Paint): string[] {
  const { operation, disk, offsetBytes, lengthBytes, startNs, durationNs, verified } = transfer;
  return [
    paint.title(`# ${operation} ${lengthBytes} bytes ${operation === 'write' ? 'to' : 'from'} ${disk} at ${offsetBytes}`),
    paint.quiet(`  ${'+us'.padStart(6)}  where`),
    ...transfer.entries.flatMap((entry) => {
      const text = TOLD[entry.symbol]?.(named(entry), entry) ?? null;
      if (text === null) return [];
      const where = entry.context === 'device' ? 'device' : `CPU ${entry.cpu} ${entry.context}`;
      return `  ${us(entry.startNs - startNs).padStart(6)}  ${where.padEnd(13)}  ${text}`;
    }),
    `${operation === 'write' ? 'Written' : 'Read'} in ${us(durationNs)} us; ` +
      (verified ? paint.good('every byte read back is the byte written.') : paint.bad('THE BYTES READ BACK DIFFER.')),
  ];
}

function named({ fields, args }: TraceEntry): Record<string, number> {
  return Object.fromEntries(fields.map((field, i) => [field, args[i] as number]));
}
