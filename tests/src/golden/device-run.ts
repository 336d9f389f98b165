/**
 * What a driver did to its NVMe controller, freed of what differs between two runs of Linux: addresses, command
 * identifiers, times, CPUs, shadow doorbells and event indexes, and how many completions one interrupt covers.
 */

import type { SequenceItem } from './compare-sequences.js';
import type { DeviceRecord } from './device-record.js';

export interface DeviceRun {
  /** Accesses below the doorbells; a poll of CSTS is one read. */
  readonly registers: SequenceItem[];
  /** Admin commands in the order of their submission, without Asynchronous Event Requests. */
  readonly commands: SequenceItem[];
  /** Asynchronous Event Requests, which Linux submits concurrently with the scan. */
  readonly eventRequests: SequenceItem[];
  /** I/O commands of all queues: which queue is a matter of the CPU. */
  readonly ioCommands: SequenceItem[];
  readonly adminTails: SequenceItem[];
  readonly adminHeads: SequenceItem[];
  /** How far each write of a tail doorbell of an I/O queue went. */
  readonly ioTails: SequenceItem[];
  /** Completion entries of I/O queues that head doorbells gave back. */
  readonly ioHeads: SequenceItem[];
}

interface Command extends SequenceItem {
  readonly cid: number;
  readonly opcode: number;
  readonly queue: number;
  readonly fields: Map<string, number>;
}

const REG_CC = 0x14;
const REG_CSTS = 0x1c;
const REG_AQA = 0x24;
const REG_ASQ = 0x28;
const REG_ACQ_END = 0x38;
const DOORBELLS = 0x1000;
const ASYNC_EVENT_REQUEST = 0x0c;

const OPCODE_NAMES: Record<number, string> = {
  0: 'Delete I/O Submission Queue',
  1: 'Create I/O Submission Queue',
  2: 'Get Log Page',
  4: 'Delete I/O Completion Queue',
  5: 'Create I/O Completion Queue',
  6: 'Identify',
  8: 'Abort',
  9: 'Set Features',
  10: 'Get Features',
  12: 'Asynchronous Event Request',
  124: 'Doorbell Buffer Config',
};
const IO_OPCODE_NAMES: Record<number, string> = {
  0: 'Flush',
  1: 'Write',
  2: 'Read',
  8: 'Write Zeroes',
  9: 'Dataset Management',
};

/** Which fields of which trace point describe the command it belongs to, and under which names. */
const DETAILS: Record<string, Record<string, string>> = {
  identify: { cns: 'CNS', ctrlid: 'controller', csi: 'CSI' },
  identify_ns: { nsid: 'nsid' },
  identify_nslist: { nsid: 'nsid' },
  identify_ns_descr_list: { nsid: 'nsid' },
  identify_ns_csi: { nsid: 'nsid' },
  cmd_dwords: { nsid: 'nsid' },
  get_log: { lid: 'LID', len: 'length', off: 'offset' },
  setfeat: { nsid: 'nsid', fid: 'FID', cdw11: 'cdw11' },
  getfeat: { nsid: 'nsid', fid: 'FID', sel: 'select', cdw11: 'cdw11' },
  create_cq: { cqid: 'queue', vector: 'vector', qsize: 'size', qflags: 'flags' },
  create_sq: { sqid: 'queue', cqid: 'completion queue', qsize: 'size', qflags: 'flags' },
  del_sq: { sqid: 'queue' },
  del_cq: { cqid: 'queue' },
  read: { nsid: 'nsid', nlb: 'blocks', lba: 'lba' },
  write: { nsid: 'nsid', nlb: 'blocks', lba: 'lba' },
  map_prp: { len: 'bytes' },
  map_sgl: { len: 'bytes' },
  enqueue_req_completion: { status: 'status', dw0: 'result' },
};
/** Trace points that name no command: they belong to the first of their opcode that has no detail yet. */
const OPCODE_OF_DETAIL: Record<string, number> = { create_cq: 5, create_sq: 1, del_sq: 0, del_cq: 4 };
const IO_DETAILS: ReadonlySet<string> = new Set(['read', 'write']);

/** Reads the records of one run. */
export function deviceRun(records: readonly DeviceRecord[]): DeviceRun {
  const reader = new Reader();
  for (const record of records) reader.add(record);
  return reader.run;
}

class Reader {
  readonly run: DeviceRun = {
    registers: [],
    commands: [],
    eventRequests: [],
    ioCommands: [],
    adminTails: [],
    adminHeads: [],
    ioTails: [],
    ioHeads: [],
  };
  private readonly all: Command[] = [];
  private current: Command | null = null;
  private readonly tails = new Map<number, number>();
  private readonly heads = new Map<number, number>();
  /** How often the controller was enabled. */
  private starts = 0;
  /** Entries of the queues' rings: 'sq 1' → 1024. */
  private readonly sizes = new Map<string, number>();

  add(record: DeviceRecord): void {
    const { name, fields } = record;
    const get = (field: string): number => fields.get(field) ?? 0;
    if (name === 'mmio_read') this.register(record, 'read', get('addr'));
    else if (name === 'mmio_write') this.register(record, 'write', get('addr'), get('data'));
    else if (name === 'mmio_doorbell_sq') this.tail(record, get('sqid'), get('new_tail'));
    else if (name === 'mmio_doorbell_cq') this.head(record, get('cqid'), get('new_head'));
    else if (name === 'admin_cmd') this.command(record, 0, get('cid'), get('opc'));
    else if (name === 'io_cmd') this.command(record, get('sqid'), get('cid'), get('opc'));
    else if (DETAILS[name] !== undefined) this.detail(record);
    if (name === 'create_cq') this.created('cq', get('cqid'), get('qsize') + 1, this.heads);
    if (name === 'create_sq') this.created('sq', get('sqid'), get('qsize') + 1, this.tails);
  }

  private register(record: DeviceRecord, access: string, address: number, data?: number): void {
    if (address >= DOORBELLS) return;
    const { registers } = this.run;
    const what = `${access} of register ${hex(address)}`;
    if (address === REG_CSTS && registers[registers.length - 1]?.what === what) return;
    const isAddress = address >= REG_ASQ && address < REG_ACQ_END;
    registers.push({
      line: record.line,
      what,
      fields: new Map(data === undefined || isAddress ? [] : [['value', data]]),
    });
    if (data === undefined) return;
    if (address === REG_AQA) {
      this.sizes.set('sq 0', (data & 0xfff) + 1).set('cq 0', ((data >>> 16) & 0xfff) + 1);
    } else if (address === REG_CC && (data & 1) !== 0) {
      this.starts++;
      this.tails.clear();
      this.heads.clear();
    }
  }

  private created(kind: string, queue: number, size: number, positions: Map<number, number>): void {
    this.sizes.set(`${kind} ${queue}`, size);
    positions.set(queue, 0);
  }

  private tail({ line }: DeviceRecord, queue: number, tail: number): void {
    const size = this.sizes.get(`sq ${queue}`) ?? 65536;
    const entries = (tail - (this.tails.get(queue) ?? 0) + size) % size;
    this.tails.set(queue, tail);
    if (queue === 0)
      this.run.adminTails.push({ line, what: 'tail of the admin queue', fields: new Map([['value', tail]]) });
    else this.run.ioTails.push({ line, what: 'tail of an I/O queue', fields: new Map([['entries', entries]]) });
  }

  private head({ line }: DeviceRecord, queue: number, head: number): void {
    const size = this.sizes.get(`cq ${queue}`) ?? 65536;
    const from = this.heads.get(queue) ?? 0;
    this.heads.set(queue, head);
    for (let slot = from; slot !== head; slot = (slot + 1) % size) {
      if (queue !== 0) this.run.ioHeads.push({ line, what: 'completion taken from an I/O queue', fields: new Map() });
      else
        this.run.adminHeads.push({
          line,
          what: 'completion taken from the admin queue',
          fields: new Map([['slot', slot]]),
        });
    }
  }

  private command({ line }: DeviceRecord, queue: number, cid: number, opcode: number): void {
    const name = (queue === 0 ? OPCODE_NAMES : IO_OPCODE_NAMES)[opcode] ?? 'command';
    const what = `${name} (${hex(opcode)})`;
    const isEventRequest = queue === 0 && opcode === ASYNC_EVENT_REQUEST;
    const fields = new Map(isEventRequest ? [['start of the controller', this.starts]] : []);
    const command: Command = { line, what, cid, opcode, queue, fields };
    this.all.push(command);
    this.current = command;
    if (queue !== 0) this.run.ioCommands.push(command);
    else if (isEventRequest) this.run.eventRequests.push(command);
    else this.run.commands.push(command);
  }

  private detail(record: DeviceRecord): void {
    const command = this.commandOf(record);
    if (command === null) return;
    // A completion belongs to a command that another may have followed: it does not become the current one.
    if (record.name !== 'enqueue_req_completion') this.current = command;
    else if (command.opcode === ASYNC_EVENT_REQUEST && command.queue === 0) return;
    for (const [field, name] of Object.entries(DETAILS[record.name])) {
      const value = record.fields.get(field);
      if (value !== undefined && !command.fields.has(name)) command.fields.set(name, value);
    }
  }

  private commandOf({ name, fields }: DeviceRecord): Command | null {
    const opcode = OPCODE_OF_DETAIL[name];
    if (opcode !== undefined) {
      return this.all.find((each) => each.queue === 0 && each.opcode === opcode && !each.fields.has('queue')) ?? null;
    }
    const cid = fields.get('cid');
    if (cid === undefined) return this.current;
    const queue = fields.get('cqid');
    const isIo = queue === undefined ? IO_DETAILS.has(name) : queue !== 0;
    return (
      this.all.findLast(
        (each) => each.cid === cid && (each.queue !== 0) === isIo && (queue === undefined || each.queue === queue),
      ) ?? null
    );
  }
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(2, '0')}`;
}
