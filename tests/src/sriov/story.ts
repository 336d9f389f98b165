/** One host's day with virtual functions, written down access by access: what two controllers that are alike agree on. */

import type { PciBus, PciDev } from '@nvme-stack/pci-bus/ports';
import { PCI_BASE_ADDRESS_0 } from '@nvme-stack/pci-function';
import { FunctionHost, type HostCommand } from './function-host.js';

const PF = '0000:00:04.0';
const SRIOV_BAR = 0x144;
const CONFIG_END = 0x200;
/** CAP, VS, INTMS, CC, CSTS, AQA, ASQ, ACQ, CMB registers, a doorbell. */
const REGISTERS = [0x00, 0x04, 0x08, 0x0c, 0x14, 0x1c, 0x38, 0x3c, 0x1000];
/** Where a host's own memory is does not matter. */
const ADDRESSES = [PCI_BASE_ADDRESS_0, PCI_BASE_ADDRESS_0 + 4, SRIOV_BAR, SRIOV_BAR + 4];

const VQ = 0;
const VI = 1;
const PRIMARY = 1;
const OFFLINE = 7;
const ASSIGN = 8;
const ONLINE = 9;

const hex = (value: number | null): string => (value === null ? 'nothing' : `0x${value.toString(16)}`);

export class Diary {
  readonly lines: string[] = [];
  private readonly bus: PciBus;

  constructor(bus: PciBus) {
    this.bus = bus;
  }

  note(line: string): void {
    this.lines.push(line);
  }

  bytes(title: string, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += 16) {
      const row = bytes.subarray(at, at + 16);
      if (row.some((byte) => byte !== 0)) this.note(`${title} ${hex(at)}: ${Buffer.from(row).toString('hex')}`);
    }
  }

  config(pdev: PciDev): void {
    const view = new DataView(new ArrayBuffer(CONFIG_END));
    for (let at = 0; at < CONFIG_END; at += 4)
      if (!ADDRESSES.includes(at)) view.setUint32(at, this.bus.pciReadConfigDword(pdev, at) >>> 0, true);
    this.bytes(`${pdev.dev.name} configuration`, new Uint8Array(view.buffer));
  }

  registers(host: FunctionHost): void {
    const found = REGISTERS.map((offset) => `${hex(offset)}=${hex(host.read(offset))}`);
    this.note(`${host.pdev.dev.name} registers ${found.join(' ')}`);
  }

  async enable(host: FunctionHost): Promise<void> {
    this.note(`${host.pdev.dev.name} enabled: CSTS ${hex(await host.enable())}`);
  }

  async command(host: FunctionHost, what: string, command: HostCommand): Promise<number | null> {
    const { status, dw0 } = await host.send(0, command);
    this.note(`${host.pdev.dev.name} ${what}: status ${hex(status)} dw0 ${hex(dw0)}`);
    return status;
  }

  async identify(host: FunctionHost, cns: number, cntid = 0, nsid = 0): Promise<void> {
    const what = `identify ${hex(cns)} from ${cntid} nsid ${hex(nsid)}`;
    const status = await this.command(host, what, { opcode: 0x06, nsid, cdw10: cns | (cntid << 16) });
    if (status === 0) this.bytes(`${host.pdev.dev.name} ${what}`, host.bytes());
  }

  async manage(host: FunctionHost, action: number, type: number, cntlid: number, count = 0): Promise<void> {
    const what = `manage ${action} type ${type} controller ${cntlid} count ${count}`;
    await this.command(host, what, { opcode: 0x1c, cdw10: action | (type << 8) | (cntlid << 16), cdw11: count });
  }

  async queues(host: FunctionHost): Promise<void> {
    await this.command(host, 'number of queues', { opcode: 0x0a, cdw10: 7 });
    await this.command(host, 'set number of queues', { opcode: 0x09, cdw10: 7, cdw11: 0x000f000f });
  }
}

/** Tells the story; `bus` has the physical function at 0000:00:04.0, with shares as in corners.ts. */
export async function tell(bus: PciBus): Promise<readonly string[]> {
  const diary = new Diary(bus);
  const pdev = bus.pciGetDevice(PF) as PciDev;
  const pf = new FunctionHost(bus, pdev);
  await pf.open();
  await beforeAny(diary, pf);
  await resources(diary, pf);
  await bus.pciSriovConfigureSimple(pdev, 2);
  diary.config(pdev);
  const vf = new FunctionHost(bus, bus.pciGetDevice('0000:00:04.1') as PciDev);
  diary.config(vf.pdev);
  await vf.open();
  await onlineAndBack(diary, pf, vf);
  await sharedNamespace(diary, pf, vf);
  await resets(diary, bus, pf, vf);
  vf.close();
  await bus.pciSriovConfigureSimple(pdev, 0);
  await diary.identify(pf, 0x14);
  await diary.identify(pf, 0x15);
  pf.close();
  return diary.lines;
}

async function beforeAny(diary: Diary, pf: FunctionHost): Promise<void> {
  diary.config(pf.pdev);
  await diary.enable(pf);
  await diary.queues(pf);
  for (const cns of [0x01, 0x14, 0x15, 0x13]) await diary.identify(pf, cns);
  for (const first of [2, 9]) await diary.identify(pf, 0x15, first);
  await diary.identify(pf, 0x00, 0, 1);
  for (const nsid of [0, 1, 2, 0xffffffff]) await diary.identify(pf, 0x12, 0, nsid);
}

async function resources(diary: Diary, pf: FunctionHost): Promise<void> {
  for (const cntlid of [0, 1, 3, 4]) await diary.manage(pf, OFFLINE, VQ, cntlid);
  for (const action of [0, 2, 6, 10, 15]) await diary.manage(pf, action, VQ, 1);
  for (const type of [2, 3, 7]) await diary.manage(pf, ASSIGN, type, 1, 1);
  for (const [cntlid, count] of [
    [0, 9],
    [1, 0],
    [0, 8],
  ] as const)
    await diary.manage(pf, PRIMARY, VQ, cntlid, count);
  await diary.manage(pf, PRIMARY, VI, 0, 3);
  // What the primary was promised it has after a reset of its function, and not before.
  await diary.manage(pf, ASSIGN, VQ, 1, 2);
  await diary.identify(pf, 0x14);
  await diary.enable(pf);
  await diary.identify(pf, 0x14);
  await flr(diary, pf);
  await diary.identify(pf, 0x14);
  diary.config(pf.pdev);
  await diary.queues(pf);
  await diary.manage(pf, ASSIGN, VQ, 1, 2);
  for (const type of [VQ, VI]) await diary.manage(pf, PRIMARY, type, 0, 0);
  await flr(diary, pf);
  await diary.queues(pf);
  for (const count of [4, 3, 2, 1, 2]) await diary.manage(pf, ASSIGN, VQ, 1, count);
  for (const count of [2, 0, 1]) await diary.manage(pf, ASSIGN, VI, 1, count);
  await diary.manage(pf, PRIMARY, VQ, 0, 7);
  // Without its function a secondary controller cannot go online.
  await diary.manage(pf, ONLINE, VQ, 1);
  await diary.identify(pf, 0x15);
}

async function onlineAndBack(diary: Diary, pf: FunctionHost, vf: FunctionHost): Promise<void> {
  diary.registers(vf);
  await diary.enable(vf);
  await diary.manage(pf, ONLINE, VQ, 2);
  await diary.manage(pf, ONLINE, VQ, 1);
  await diary.manage(pf, ONLINE, VQ, 1);
  diary.config(vf.pdev);
  diary.registers(vf);
  await diary.manage(pf, ASSIGN, VQ, 1, 2);
  await diary.enable(vf);
  await diary.queues(vf);
  for (const cns of [0x01, 0x02, 0x13, 0x14, 0x15]) await diary.identify(vf, cns);
  for (const nsid of [1, 2]) await diary.identify(vf, 0x12, 0, nsid);
  await diary.identify(pf, 0x12, 1, 1);
  await diary.identify(pf, 0x13, 2);
  // A secondary controller has no secondary controllers.
  for (const action of [PRIMARY, OFFLINE, ASSIGN, ONLINE]) await diary.manage(vf, action, VQ, 1);
  await diary.command(vf, 'interrupt 2', { opcode: 0x0a, cdw10: 9, cdw11: 2 });
}

async function sharedNamespace(diary: Diary, pf: FunctionHost, vf: FunctionHost): Promise<void> {
  for (const [qid, vector] of [
    [2, 0],
    [1, 1],
    [1, 0],
    [1, 0],
  ] as const)
    diary.note(`queue ${qid} vector ${vector} of a virtual function: ${hex(await vf.createQueues(qid, vector))}`);
  diary.note(`queue 1 of the physical function: ${hex(await pf.createQueues())}`);
  pf.data.bytes.fill(0xa5);
  diary.note(`written: ${hex((await pf.send(1, { opcode: 1, nsid: 1, cdw10: 8 })).status)}`);
  vf.data.bytes.fill(0);
  diary.note(`read: ${hex((await vf.send(1, { opcode: 2, nsid: 1, cdw10: 8 })).status)}`);
  diary.bytes('read', vf.bytes(16));
}

async function resets(diary: Diary, bus: PciBus, pf: FunctionHost, vf: FunctionHost): Promise<void> {
  await flr(diary, vf);
  await diary.queues(vf);
  await diary.identify(pf, 0x15);
  // The primary's reset takes the secondary controllers offline and what they had.
  await diary.enable(pf);
  diary.registers(vf);
  await diary.identify(pf, 0x15);
  await diary.identify(pf, 0x14);
  diary.config(pf.pdev);
  for (const [type, count] of [
    [VQ, 2],
    [VI, 1],
  ] as const)
    await diary.manage(pf, ASSIGN, type, 1, count);
  await diary.manage(pf, ONLINE, VQ, 1);
  await diary.enable(vf);
  await diary.manage(pf, OFFLINE, VQ, 1);
  diary.registers(vf);
  await diary.identify(pf, 0x15);
  for (const [type, count] of [
    [VQ, 2],
    [VI, 1],
  ] as const)
    await diary.manage(pf, ASSIGN, type, 1, count);
  await diary.manage(pf, ONLINE, VQ, 1);
  diary.note(`bus master ${bus.pciReadConfigWord(vf.pdev, 4) & 4}`);
}

/** A reset of the function alone, and the controller enabled again. */
async function flr(diary: Diary, host: FunctionHost): Promise<void> {
  await host.functionLevelReset();
  diary.note(`${host.pdev.dev.name} function level reset`);
  await diary.enable(host);
}
