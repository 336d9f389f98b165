/** A write, a flush and a read, step by step: the CPU on the left, the controller on the right. */
import { clip, size, us, type View } from '../layout.js';
import type { TraceEntry } from '../session.js';
import type { Transfer } from '../transfers.js';

/** What an event says; null: nothing worth telling. */
type Told = (args: Readonly<Record<string, number>>, entry: TraceEntry) => string | null;

interface Telling {
  /** Which way something goes between CPU and controller, if it does. */
  readonly arrow?: '>' | '<';
  readonly tell: Told;
}

const hex = (value = 0): string => `0x${value.toString(16)}`;

/** Shorter DMA than this moves commands, completions and doorbells. */
const SECTOR_BYTES = 512;

function dma(verb: string, arrow: '>' | '<'): Telling {
  return {
    arrow,
    tell: ({ addr, len = 0 }) => (len >= SECTOR_BYTES ? `DMA ${verb} ${len} bytes at ${hex(addr)}` : null),
  };
}

/** Events worth telling, by their names. */
const TOLD: Readonly<Record<string, Telling>> = {
  block_bio_queue: {
    tell: ({ sector, nr_sector }, { text }) => `submit_bio(): ${text}, sector ${sector} + ${nr_sector}`,
  },
  nvme_setup_cmd: { tell: ({ cmdid }, { text }) => `${hex(cmdid)} ${command(text)}` },
  pci_nvme_mmio_doorbell_sq: { arrow: '>', tell: ({ sqid, new_tail }) => `doorbell: SQ ${sqid} tail = ${new_tail}` },
  pci_nvme_io_cmd: { tell: ({ cid, sqid }) => `fetches ${hex(cid)} from SQ ${sqid}` },
  dma_read: dma('reads', '>'),
  dma_write: dma('writes', '<'),
  pci_nvme_enqueue_req_completion: {
    tell: ({ cid, cqid, status }) => `CQ ${cqid} gets ${hex(cid)}, status ${status}`,
  },
  msi_notify: { arrow: '<', tell: ({ cpu, vector }) => `interrupt to CPU ${cpu}, vector ${vector}` },
  pci_set_irq: { arrow: '<', tell: ({ level }) => `INTx ${level === 0 ? 'down' : 'up'}` },
  irq_handler_entry: { tell: ({ irq }, { text }) => `IRQ ${irq}, ${text}: nvme_irq()` },
  pci_nvme_mmio_doorbell_cq: { arrow: '>', tell: ({ cqid, new_head }) => `doorbell: CQ ${cqid} head = ${new_head}` },
};

/** Functions worth telling. */
const CALLS = new Set(['nvme_queue_rq', 'nvme_queue_rqs', 'bio_endio']);
/** Events that happen in the controller though a CPU's access causes them. */
const BY_CPU = new Set(['pci_nvme_mmio_doorbell_sq', 'pci_nvme_mmio_doorbell_cq']);
/** Events of the controller's that a CPU may have to go and find: on QEMU a message is seen when somebody looks. */
const BY_DEVICE = new Set(['msi_notify', 'pci_set_irq']);

export function transfersScreen(all: readonly Transfer[], view: View): string[] {
  const { paint } = view;
  if (all.length === 0) return [paint.bad('There is no disk to write to or read from.')];
  return [...all.flatMap((transfer) => [...one(transfer, view), '']), verdict(all, view)];
}

function verdict(all: readonly Transfer[], { paint }: View): string {
  const read = all.at(-1) as Transfer;
  if (read.verified === null) return `Read ${size(read.lengthBytes)}; the disk is read-only, so nothing was written.`;
  return read.verified
    ? `${paint.good('Verified:')} all ${read.lengthBytes} bytes read back are the bytes written.`
    : paint.bad('THE BYTES READ BACK DIFFER FROM THE BYTES WRITTEN.');
}

const TIME = 11;

function one(
  { operation, disk, offsetBytes, lengthBytes, startNs, durationNs, entries }: Transfer,
  view: View,
): string[] {
  const { paint, width } = view;
  const lane = Math.floor((Math.min(width, 110) - TIME - 5) / 2);
  const what =
    operation === 'flush' ? `flush ${disk}` : `${operation} ${lengthBytes} bytes at byte ${offsetBytes} of ${disk}`;
  const head = `${paint.title(what)}${paint.quiet(`   ${us(durationNs)} us`)}`;
  const columns = `${'+us'.padStart(TIME - 2)}  ${'CPU'.padEnd(lane + 5)}controller`;
  const lines = entries.flatMap((entry) => {
    const told = tell(entry);
    if (told === null) return [];
    const time = paint.quiet(`${us(entry.startNs - startNs).padStart(TIME - 2)}  `);
    const text = clip(told.text, lane);
    const arrow = told.arrow === null ? '   ' : paint.mark(told.arrow === '>' ? '──►' : '◄──');
    if (told.inDevice) return `${time}${' '.repeat(lane)} ${arrow} ${paint.device(text)}`;
    return told.arrow === null ? `${time}${text}` : `${time}${text.padEnd(lane)} ${arrow}`;
  });
  if (lines.length === 0) return [head, paint.quiet('  nothing is sent: the disk has no volatile write cache')];
  return [head, paint.quiet(columns), ...lines];
}

function tell(entry: TraceEntry): { text: string; inDevice: boolean; arrow: '>' | '<' | null } | null {
  if (entry.kind === 'function') {
    if (!CALLS.has(entry.symbol)) return null;
    return { text: `${entry.symbol}()`, inDevice: false, arrow: null };
  }
  const telling = TOLD[entry.symbol];
  const text = telling?.tell(named(entry), entry) ?? null;
  if (telling === undefined || text === null) return null;
  const inDevice = BY_DEVICE.has(entry.symbol) || (entry.context === 'device' && !BY_CPU.has(entry.symbol));
  return { text, inDevice, arrow: telling.arrow ?? null };
}

/** `nvme_cmd_write LBA 16, 8 blocks` from the text of Linux's event. */
function command(text: string): string {
  const [, name = 'command', args = ''] = /cmd=\((\w+) ?(.*)\)$/.exec(text) ?? [];
  const [, slba, len] = /slba=(\d+), len=(\d+)/.exec(args) ?? [];
  return slba === undefined ? name : `${name} LBA ${slba} + ${Number(len) + 1}`;
}

function named({ fields, args }: TraceEntry): Record<string, number> {
  return Object.fromEntries(fields.map((field, i) => [field, args[i] as number]));
}
