/** What happens during one write and one read, step by step. */
import type { Paint } from '../paint.js';
import type { Demo, TraceEntry, Transfer } from '../run.js';
import { us } from './text.js';

type Told = (args: Readonly<Record<string, number>>, entry: TraceEntry) => string | null;

const hex = (value: number): string => `0x${value.toString(16)}`;

/** Shorter DMA than this moves commands, completions and doorbells. */
const SECTOR_BYTES = 512;

function dma(verb: string): Told {
  return ({ addr = 0, len = 0 }) =>
    len >= SECTOR_BYTES ? `DMA: the controller ${verb} ${len} bytes at ${hex(addr)}` : null;
}

/** Events worth telling, by their names; null: not this one. */
const TOLD: Readonly<Record<string, Told>> = {
  block_bio_queue: ({ sector, nr_sector }, { text }) => `bio queued: sector ${sector}, ${nr_sector} sectors, ${text}`,
  block_rq_issue: ({ bytes }) => `request issued to the driver: ${bytes} bytes`,
  nvme_setup_cmd: (_, { text }) => `command: ${/qid=.*/.exec(text)?.[0] ?? text}`,
  pci_nvme_mmio_doorbell_sq: ({ sqid, new_tail }) => `doorbell: submission queue ${sqid}, tail ${new_tail}`,
  pci_nvme_io_cmd: ({ cid, sqid }) => `controller fetches command ${hex(cid as number)} from submission queue ${sqid}`,
  pci_nvme_map_prp: ({ prp1, len }) => `controller maps PRP1 ${hex(prp1 as number)}, ${len} bytes`,
  dma_read: dma('reads'),
  dma_write: dma('writes'),
  pci_nvme_enqueue_req_completion: ({ cid, cqid, status }) =>
    `controller posts completion of ${hex(cid as number)} to completion queue ${cqid}, status ${status}`,
  msi_notify: ({ cpu, vector }) => `MSI-X message to CPU ${cpu}, its vector ${vector}`,
  irq_handler_entry: ({ irq }, { text }) => `interrupt ${irq}, ${text}`,
  pci_nvme_mmio_doorbell_cq: ({ cqid, new_head }) => `doorbell: completion queue ${cqid}, head ${new_head}`,
  block_rq_complete: ({ error }) => `request complete, error ${error}`,
};

/** Functions worth telling. */
const CALLS = new Set([
  'submit_bio',
  'blk_mq_get_tag',
  'nvme_queue_rq',
  'nvme_queue_rqs',
  'dma_map_page_attrs',
  'nvme_irq',
  'nvme_pci_complete_batch',
  'dma_unmap_page_attrs',
  'bio_endio',
]);

export function ioScreen({ io }: Demo, paint: Paint): string[] {
  return io.flatMap((transfer, i) => [...(i > 0 ? [''] : []), ...one(transfer, paint)]);
}

function one(transfer: Transfer, paint: Paint): string[] {
  const { operation, disk, offsetBytes, lengthBytes, startNs, durationNs, verified } = transfer;
  return [
    paint.title(
      `# ${operation} ${lengthBytes} bytes ${operation === 'write' ? 'to' : 'from'} ${disk} at ${offsetBytes}`,
    ),
    paint.quiet(`  ${'+us'.padStart(6)}  where`),
    ...transfer.entries.flatMap((entry) => {
      const text = tell(entry);
      if (text === null) return [];
      const where = entry.context === 'device' ? 'device' : `CPU ${entry.cpu} ${entry.context}`;
      return `  ${us(entry.startNs - startNs).padStart(6)}  ${where.padEnd(13)}  ${text}`;
    }),
    `${operation === 'write' ? 'Written' : 'Read'} in ${us(durationNs)} us; ` +
      (verified ? paint.good('every byte read back is the byte written.') : paint.bad('THE BYTES READ BACK DIFFER.')),
  ];
}

function tell(entry: TraceEntry): string | null {
  if (entry.kind === 'function') return CALLS.has(entry.symbol) ? `${entry.symbol}()` : null;
  return TOLD[entry.symbol]?.(named(entry), entry) ?? null;
}

function named({ fields, args }: TraceEntry): Record<string, number> {
  return Object.fromEntries(fields.map((field, i) => [field, args[i] as number]));
}
