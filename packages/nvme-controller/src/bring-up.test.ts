// The bring-up that Linux 6.12 does, as the device's trace shows it.
import { describe, expect, it } from 'vitest';
import { createNvmeController } from './index.js';
import { RegisterDriver } from './testing.js';

const DATA = 0x40000;

/** Trace lines of one step as `name value value …`, without the prefix. */
function traceOf(driver: RegisterDriver, step: () => void): string[] {
  driver.host.traced.length = 0;
  step();
  return driver.host.traced
    .filter(({ event }) => event.name !== 'pci_nvme_cmd_dwords')
    .map(({ event, values }) =>
      [
        event.name.replace('pci_nvme_', ''),
        ...event.fields.map((field, i) => `${field}=0x${(values[i] as number).toString(16)}`),
      ].join(' '),
    );
}

describe('the bring-up of Linux 6.12', () => {
  const fn = createNvmeController({ serial: 'LAB0001', namespaces: [{ sizeBytes: 1 << 30 }] });
  const driver = new RegisterDriver(fn, { ramBytes: 1 << 21 });
  driver.host.tracing = true;
  const admin = (command: Parameters<RegisterDriver['admin']>[0]): string[] =>
    traceOf(driver, () => driver.admin(command));

  it('enables in two steps', () => {
    expect(
      traceOf(driver, () => {
        driver.read32(0x1c);
        driver.write32(0x14, 0);
        driver.write32(0x24, 0x1f001f);
        driver.write32(0x28, 0x1000);
        driver.write32(0x2c, 0);
        driver.write32(0x30, 0x2000);
        driver.write32(0x34, 0);
        driver.write32(0x14, 0x460060);
        driver.write32(0x14, 0x460061);
        driver.read32(0x1c);
      }),
    ).toEqual([
      'mmio_read addr=0x1c size=0x4',
      'mmio_write addr=0x14 data=0x0 size=0x4',
      'mmio_cfg config=0x0',
      'mmio_write addr=0x24 data=0x1f001f size=0x4',
      'mmio_aqattr attributes=0x1f001f',
      'mmio_write addr=0x28 data=0x1000 size=0x4',
      'mmio_asqaddr address=0x1000',
      'mmio_write addr=0x2c data=0x0 size=0x4',
      'mmio_asqaddr_hi high=0x0 new_address=0x1000',
      'mmio_write addr=0x30 data=0x2000 size=0x4',
      'mmio_acqaddr address=0x2000',
      'mmio_write addr=0x34 data=0x0 size=0x4',
      'mmio_acqaddr_hi high=0x0 new_address=0x2000',
      'mmio_write addr=0x14 data=0x460060 size=0x4',
      'mmio_cfg config=0x460060',
      'mmio_write addr=0x14 data=0x460061 size=0x4',
      'mmio_cfg config=0x460061',
      'setfeat_timestamp ts=0x0',
      'mmio_start_success',
      'mmio_read addr=0x1c size=0x4',
    ]);
  });
  it('identifies the controller', () => {
    driver.enableMsix();
    expect(admin({ opcode: 6, cdw10: 1, prp1: DATA, cid: 20 })).toEqual([
      'mmio_write addr=0x1000 data=0x1 size=0x4',
      'mmio_doorbell_sq sqid=0x0 new_tail=0x1',
      'admin_cmd cid=0x14 sqid=0x0 opc=0x6 cdw10=0x1',
      'identify cid=0x14 cns=0x1 ctrlid=0x0 csi=0x0',
      'map_prp trans_len=0x1000 len=0x1000 prp1=0x40000 prp2=0x0',
      'map_addr addr=0x40000 len=0x1000',
      'enqueue_req_completion cid=0x14 cqid=0x0 dw0=0x0 status=0x0',
      'irq_msix vector=0x0',
      'mmio_write addr=0x1004 data=0x1 size=0x4',
      'mmio_doorbell_cq cqid=0x0 new_head=0x1',
    ]);
  });
  it('asks for queues and creates them', () => {
    expect(admin({ opcode: 9, cdw10: 7, cdw11: 0x30003, cid: 1 }).slice(2, 6)).toEqual([
      'admin_cmd cid=0x1 sqid=0x0 opc=0x9 cdw10=0x7',
      'setfeat cid=0x1 nsid=0x0 fid=0x7 cdw11=0x30003',
      'setfeat_numq reqcq=0x4 reqsq=0x4 gotcq=0x40 gotsq=0x40',
      'enqueue_req_completion cid=0x1 cqid=0x0 dw0=0x3f003f status=0x0',
    ]);
    expect(traceOf(driver, () => driver.createQueuePair(1, 64, 1)).filter((line) => line.startsWith('create'))).toEqual(
      ['create_cq cqid=0x1 vector=0x1 qsize=0x3f qflags=0x3', 'create_sq sqid=0x1 cqid=0x1 qsize=0x3f qflags=0x1'],
    );
  });
  it('sets shadow doorbells, from then on read after each command', () => {
    expect(admin({ opcode: 0x7c, prp1: 0x3000, prp2: 0x4000, cid: 2 })).toEqual([
      'mmio_write addr=0x1000 data=0x5 size=0x4',
      'mmio_doorbell_sq sqid=0x0 new_tail=0x5',
      'admin_cmd cid=0x2 sqid=0x0 opc=0x7c cdw10=0x0',
      'dbbuf_config dbs_addr=0x3000 eis_addr=0x4000',
      'enqueue_req_completion cid=0x2 cqid=0x0 dw0=0x0 status=0x0',
      'eventidx_sq sqid=0x0 new_eventidx=0x5',
      'shadow_doorbell_sq sqid=0x0 new_shadow_doorbell=0x5',
      'shadow_doorbell_cq cqid=0x0 new_shadow_doorbell=0x4',
      'irq_msix vector=0x0',
      'mmio_write addr=0x1004 data=0x5 size=0x4',
      'mmio_doorbell_cq cqid=0x0 new_head=0x5',
    ]);
  });
  it('parks its asynchronous event request', () => {
    const lines = traceOf(driver, () => {
      driver.put(0, { opcode: 12, cid: 31 });
      driver.ring(0);
      driver.host.pump();
    });
    expect(lines.slice(1)).toEqual([
      'mmio_doorbell_sq sqid=0x0 new_tail=0x6',
      'shadow_doorbell_sq sqid=0x0 new_shadow_doorbell=0x6',
      'admin_cmd cid=0x1f sqid=0x0 opc=0xc cdw10=0x0',
      'aer cid=0x1f',
      'eventidx_sq sqid=0x0 new_eventidx=0x6',
      'shadow_doorbell_sq sqid=0x0 new_shadow_doorbell=0x6',
    ]);
  });
  it('reads the partition table', () => {
    driver.view.setUint32(0x3008, 1, true);
    const lines = traceOf(driver, () => driver.submit(1, { opcode: 2, nsid: 1, prp1: DATA, cdw12: 7, cid: 704 }));
    expect(lines).toEqual([
      'mmio_write addr=0x1008 data=0x1 size=0x4',
      'mmio_doorbell_sq sqid=0x1 new_tail=0x1',
      'shadow_doorbell_sq sqid=0x1 new_shadow_doorbell=0x1',
      'io_cmd cid=0x2c0 nsid=0x1 sqid=0x1 opc=0x2',
      'read cid=0x2c0 nsid=0x1 nlb=0x8 lba=0x0',
      'map_prp trans_len=0x1000 len=0x1000 prp1=0x40000 prp2=0x0',
      'map_addr addr=0x40000 len=0x1000',
      'rw_cb cid=0x2c0',
      'rw_complete_cb cid=0x2c0',
      'enqueue_req_completion cid=0x2c0 cqid=0x1 dw0=0x0 status=0x0',
      'eventidx_sq sqid=0x1 new_eventidx=0x1',
      'shadow_doorbell_sq sqid=0x1 new_shadow_doorbell=0x1',
      'shadow_doorbell_cq cqid=0x1 new_shadow_doorbell=0x0',
      'irq_msix vector=0x1',
      'mmio_write addr=0x100c data=0x1 size=0x4',
      'mmio_doorbell_cq cqid=0x1 new_head=0x1',
    ]);
  });
});
