/** A controller that tells, line by line and decoded, what the guest's driver does to it. */
import {
  CC,
  CSTS,
  NVME_REG_CC,
  NVME_REG_CSTS,
  NvmeRegisters,
  nvmeOpcodeName,
  nvmeStatusTitle,
} from '@nvme-stack/nvme-protocol';
import type { AccessSize, DeviceTraceEvent, PciFunction, PciHost, PciResetKind } from '@nvme-stack/pci-function';

const DOORBELLS = 0x1000;
const PREFIX = 'pci_nvme_';
/** Register accesses come with their values from here; the rest says the same again or is of no use to a reader. */
const QUIET = new Set([
  'mmio_read',
  'mmio_write',
  'mmio_cfg',
  'mmio_aqattr',
  'mmio_asqaddr',
  'mmio_asqaddr_hi',
  'mmio_acqaddr',
  'mmio_acqaddr_hi',
  'admin_cmd',
  'io_cmd',
  'map_prp',
  'map_addr',
  'map_sgl',
  'rw_cb',
  'rw_complete_cb',
  'shadow_doorbell_sq',
  'shadow_doorbell_cq',
  'eventidx_sq',
  'eventidx_cq',
  'setfeat_timestamp',
]);
/** Fields that are read as counts; everything else is hexadecimal. */
const DECIMAL = new Set([
  'cid',
  'sqid',
  'cqid',
  'nsid',
  'nlb',
  'lba',
  'len',
  'vector',
  'qsize',
  'new_tail',
  'new_head',
]);

/** The controller to attach, and what its trace events go to. */
export interface WatchedController {
  readonly controller: PciFunction;
  readonly trace: (event: DeviceTraceEvent, a: number, b: number, c: number, d: number) => void;
}

/** Wraps a controller; `tell` gets one line per register access, command, completion and interrupt. */
export function watchController(controller: PciFunction, tell: (line: string) => void): WatchedController {
  return { controller: watched(controller, tell), trace: commandTeller(tell) };
}

function watched(fn: PciFunction, tell: (line: string) => void): PciFunction {
  let polledCsts: number | null = null;
  const register = (access: 'R' | 'W', offset: number, value: number): void => {
    const isPoll = access === 'R' && offset === NVME_REG_CSTS;
    if (isPoll && polledCsts === value) return;
    polledCsts = isPoll ? value : null;
    tell(
      `${access}  ${registerName(offset).padEnd(8)} 0x${value.toString(16).padStart(8, '0')}${fieldsOf(offset, value)}`,
    );
  };
  return {
    attach: (host: PciHost) => fn.attach(host),
    configRead: (offset: number, size: AccessSize) => fn.configRead(offset, size),
    configWrite: (offset: number, value: number, size: AccessSize) => fn.configWrite(offset, value, size),
    barRead: (bar: number, offset: number, size: AccessSize) => {
      const value = fn.barRead(bar, offset, size);
      if (bar === 0 && offset < DOORBELLS) register('R', offset, value);
      return value;
    },
    barWrite: (bar: number, offset: number, value: number, size: AccessSize) => {
      if (bar === 0 && offset < DOORBELLS) register('W', offset, value);
      fn.barWrite(bar, offset, value, size);
    },
    deferred: () => fn.deferred(),
    alarm: () => fn.alarm(),
    reset: (kind: PciResetKind) => {
      tell(`reset (${kind})`);
      fn.reset(kind);
    },
  };
}

function registerName(offset: number): string {
  const name = NvmeRegisters.nameAt(offset) ?? `0x${offset.toString(16)}`;
  const { offset: start, sizeBytes } = NvmeRegisters.registers[name as 'CAP'] ?? { offset, sizeBytes: 4 };
  return sizeBytes === 8 && offset !== start ? `${name}+4` : name;
}

/** The fields that are not 0 of the registers whose bits tell what is going on. */
function fieldsOf(offset: number, value: number): string {
  const fields: Readonly<Record<string, { get(value: number): number }>> =
    offset === NVME_REG_CC ? CC : offset === NVME_REG_CSTS ? CSTS : {};
  const set = Object.entries(fields).flatMap(([name, field]) => {
    const part = field.get(value);
    return part === 0 ? [] : [part === 1 ? name : `${name}=${part}`];
  });
  return set.length === 0 ? '' : `  ${set.join(' ')}`;
}

/** The commands: a line when the controller has fetched one, one for what it asks, one for its end. */
function commandTeller(tell: (line: string) => void): WatchedController['trace'] {
  const names = new Map<string, string>();
  let current = '';
  let cdw10 = '';
  return ({ name: fullName, fields }, a, b, c, d) => {
    const name = fullName.startsWith(PREFIX) ? fullName.slice(PREFIX.length) : fullName;
    if (name === 'admin_cmd' || name === 'io_cmd') {
      const opcode = name === 'io_cmd' ? d : c;
      const sqid = name === 'io_cmd' ? c : b;
      current = nvmeOpcodeName(sqid, opcode);
      names.set(`${sqid} ${a}`, current);
      cdw10 = name === 'admin_cmd' ? ` cdw10=0x${d.toString(16)}` : '';
    } else if (name === 'cmd_dwords') {
      const [cdw11, cdw12] = [b, c].map((dword) => `0x${dword.toString(16)}`);
      tell(`>  ${current} nsid=${a}${cdw10} cdw11=${cdw11} cdw12=${cdw12}`);
    } else if (name === 'enqueue_req_completion') {
      const status = d === 0 ? 'success' : `${nvmeStatusTitle(d & 0x7ff)} (0x${d.toString(16)})`;
      tell(`<  ${names.get(`${b} ${a}`) ?? 'command'} cid=${a} dw0=0x${c.toString(16)}: ${status}`);
    } else if (!QUIET.has(name)) {
      const values = [a, b, c, d];
      const text = fields.map((field, i) => {
        const value = values[i] as number;
        return `${field}=${DECIMAL.has(field) ? value : `0x${value.toString(16)}`}`;
      });
      tell(`.  ${[name, ...text].join(' ')}`);
    }
  };
}
