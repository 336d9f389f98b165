// The controller's trace events, under QEMU's names.
// Kernel counterpart: none (QEMU hw/nvme). Emitted through PciHost.trace, only while it is listening.
import type { DeviceTraceEvent } from '@nvme-stack/pci-function';

type Kind = DeviceTraceEvent['kind'];

function event(name: string, kind: Kind, ...fields: string[]): DeviceTraceEvent {
  return { name: `pci_nvme_${name}`, kind, fields };
}

export const TRACE_MMIO_READ = event('mmio_read', 'mmio', 'addr', 'size');
export const TRACE_MMIO_WRITE = event('mmio_write', 'mmio', 'addr', 'data', 'size');
export const TRACE_MMIO_CFG = event('mmio_cfg', 'nvme', 'config');
export const TRACE_MMIO_AQATTR = event('mmio_aqattr', 'nvme', 'attributes');
export const TRACE_MMIO_ASQADDR = event('mmio_asqaddr', 'nvme', 'address');
export const TRACE_MMIO_ASQADDR_HI = event('mmio_asqaddr_hi', 'nvme', 'high', 'new_address');
export const TRACE_MMIO_ACQADDR = event('mmio_acqaddr', 'nvme', 'address');
export const TRACE_MMIO_ACQADDR_HI = event('mmio_acqaddr_hi', 'nvme', 'high', 'new_address');
export const TRACE_MMIO_START_SUCCESS = event('mmio_start_success', 'nvme');
export const TRACE_MMIO_START_FAILED = event('err_startfail', 'nvme');
export const TRACE_MMIO_STOPPED = event('mmio_stopped', 'nvme');
export const TRACE_MMIO_SHUTDOWN_SET = event('mmio_shutdown_set', 'nvme');
export const TRACE_MMIO_SHUTDOWN_CLEARED = event('mmio_shutdown_cleared', 'nvme');
export const TRACE_MMIO_DOORBELL_SQ = event('mmio_doorbell_sq', 'nvme', 'sqid', 'new_tail');
export const TRACE_MMIO_DOORBELL_CQ = event('mmio_doorbell_cq', 'nvme', 'cqid', 'new_head');
export const TRACE_SHADOW_DOORBELL_SQ = event('shadow_doorbell_sq', 'nvme', 'sqid', 'new_shadow_doorbell');
export const TRACE_SHADOW_DOORBELL_CQ = event('shadow_doorbell_cq', 'nvme', 'cqid', 'new_shadow_doorbell');
export const TRACE_EVENTIDX_SQ = event('eventidx_sq', 'nvme', 'sqid', 'new_eventidx');
export const TRACE_ADMIN_CMD = event('admin_cmd', 'sqe', 'cid', 'sqid', 'opc', 'cdw10');
export const TRACE_IO_CMD = event('io_cmd', 'sqe', 'cid', 'nsid', 'sqid', 'opc');
/** Ours: the rest of the command's dwords, after every admin_cmd and io_cmd. */
export const TRACE_CMD_DWORDS = event('cmd_dwords', 'nvme', 'nsid', 'cdw11', 'cdw12', 'cdw13');
export const TRACE_IDENTIFY = event('identify', 'nvme', 'cid', 'cns', 'ctrlid', 'csi');
export const TRACE_GET_LOG = event('get_log', 'nvme', 'cid', 'lid', 'len', 'off');
export const TRACE_GETFEAT = event('getfeat', 'nvme', 'cid', 'nsid', 'fid', 'sel');
export const TRACE_SETFEAT = event('setfeat', 'nvme', 'cid', 'nsid', 'fid', 'cdw11');
export const TRACE_SETFEAT_NUMQ = event('setfeat_numq', 'nvme', 'reqcq', 'reqsq', 'gotcq', 'gotsq');
export const TRACE_SETFEAT_TIMESTAMP = event('setfeat_timestamp', 'nvme', 'ts');
export const TRACE_CREATE_CQ = event('create_cq', 'nvme', 'cqid', 'vector', 'qsize', 'qflags');
export const TRACE_CREATE_SQ = event('create_sq', 'nvme', 'sqid', 'cqid', 'qsize', 'qflags');
export const TRACE_DEL_SQ = event('del_sq', 'nvme', 'sqid');
export const TRACE_DEL_CQ = event('del_cq', 'nvme', 'cqid');
export const TRACE_DBBUF_CONFIG = event('dbbuf_config', 'nvme', 'dbs_addr', 'eis_addr');
export const TRACE_AER = event('aer', 'nvme', 'cid');
export const TRACE_VIRT_MNGMT = event('virt_mngmt', 'nvme', 'act', 'cntlid', 'rt', 'nr');
export const TRACE_MMIO_VF_OFFLINE = event('err_ignored_mmio_vf_offline', 'nvme', 'addr', 'size');
export const TRACE_ENQUEUE_EVENT = event('enqueue_event', 'nvme', 'type', 'info', 'log_page');
export const TRACE_READ = event('read', 'nvme', 'cid', 'nsid', 'nlb', 'lba');
export const TRACE_WRITE = event('write', 'nvme', 'cid', 'nsid', 'nlb', 'lba');
export const TRACE_RW_CB = event('rw_cb', 'nvme', 'cid');
export const TRACE_RW_COMPLETE_CB = event('rw_complete_cb', 'nvme', 'cid');
export const TRACE_MAP_PRP = event('map_prp', 'dma', 'trans_len', 'len', 'prp1', 'prp2');
export const TRACE_MAP_SGL = event('map_sgl', 'dma', 'type', 'len');
export const TRACE_MAP_ADDR = event('map_addr', 'dma', 'addr', 'len');
export const TRACE_ENQUEUE_REQ_COMPLETION = event('enqueue_req_completion', 'cqe', 'cid', 'cqid', 'dw0', 'status');
export const TRACE_IRQ_MSIX = event('irq_msix', 'msi', 'vector');
export const TRACE_IRQ_PIN = event('irq_pin', 'msi');
/** Ours: a rule of the fault plan acts. */
export const TRACE_FAULT: DeviceTraceEvent = { name: 'nvme_fault', kind: 'nvme', fields: ['rule', 'acted', 'a', 'b'] };
export const TRACE_IRQ_MASKED = event('irq_masked', 'msi');
