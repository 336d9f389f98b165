/**
 * What must be known of Linux to read the captured call lists: they are filtered, so some callers are not in them.
 * Every table is closed; the reasons are Linux 6.1's and 6.12's own structure.
 */

/** Interrupts begin here, whatever they interrupt. */
export const INTERRUPT_ENTRIES: ReadonlySet<string> = new Set([
  '__common_interrupt',
  '__handle_irq_event_percpu',
  'nvme_irq',
]);

/** A function that the filter hides was called after `replaces` had returned, at its depth, and called `symbol`. */
export interface HiddenFrame {
  readonly symbol: string;
  /** The line that seems to be the caller, being the nearest less indented one. */
  readonly below: string;
  /** The open line that had returned; its own caller is the true one. */
  readonly replaces: string;
  readonly hidden: string;
  readonly why: string;
}

function hidden(symbol: string, below: string, frame: string, why: string, replaces = below): HiddenFrame {
  return { symbol, below, replaces, hidden: frame, why };
}

export const HIDDEN_FRAMES: readonly HiddenFrame[] = [
  hidden(
    'nvme_set_queue_count',
    'nvme_dbbuf_dma_alloc',
    'nvme_setup_io_queues',
    'nvme_probe calls the two one after the other; everything up to the I/O tag set is below nvme_setup_io_queues.',
  ),
  hidden(
    'pci_request_irq',
    'nvme_init_queue',
    'queue_request_irq',
    'The callers of nvme_init_queue call queue_request_irq next.',
  ),
  hidden(
    'pci_request_irq',
    'pci_alloc_irq_vectors_affinity',
    'queue_request_irq',
    'nvme_setup_io_queues requests the admin interrupt again once it has the vectors.',
  ),
  hidden(
    'nvme_set_latency_tolerance',
    'cdev_device_add',
    'dev_pm_qos_update_user_latency_tolerance',
    'The caller of cdev_device_add sets the latency tolerance after it.',
  ),
  hidden(
    'nvme_class_uevent',
    'nvme_mpath_update',
    'kobject_uevent_env',
    'nvme_start_ctrl sends NVME_EVENT=connected after nvme_mpath_update.',
  ),
  hidden(
    'nvme_queue_rqs',
    'nvme_ns_open',
    'bdev_disk_changed',
    'device_add_disk opens the disk and then reads its partition table.',
    'nvme_open',
  ),
  hidden(
    'nvme_queue_rq',
    'nvme_ns_open',
    'bdev_disk_changed',
    'device_add_disk opens the disk and then reads its partition table.',
    'nvme_open',
  ),
  hidden(
    'async_schedule_node',
    'nvme_reset_ctrl',
    'async_schedule',
    'nvme_probe schedules nvme_async_probe after nvme_reset_ctrl.',
  ),
  hidden(
    'blk_mq_freeze_queue',
    'nvme_init_hctx',
    '__alloc_disk_node',
    '__blk_mq_alloc_disk allocates the disk once the queue is ready.',
    'blk_mq_init_allocated_queue',
  ),
  hidden(
    'nvme_open',
    'blk_mq_freeze_queue',
    'blkdev_get_whole',
    'device_add_disk registers the queue, which freezes it, and then opens the disk.',
  ),
];

/** A call through functions that the filter hides, so that the depth jumps by more than one. */
export const KNOWN_GAPS: readonly (readonly [caller: string, symbol: string])[] = [
  ['blk_execute_rq', 'nvme_queue_rq'],
  ['cdev_device_add', 'nvme_class_uevent'],
  ['blk_mq_init_allocated_queue', 'nvme_admin_init_hctx'],
  ['blk_mq_init_allocated_queue', 'nvme_init_hctx'],
  ['device_add_disk', 'blk_mq_freeze_queue'],
  ['nvme_ns_open', 'nvme_queue_rqs'],
  ['nvme_ns_open', 'nvme_queue_rq'],
  ['driver_bound', 'queue_work_on'],
  ['dma_map_sgtable', 'dma_direct_map_sg'],
  ['bio_split_rw', 'handle_softirqs'],
];

/** A thread that slept goes on, on a CPU where it was not before. */
export interface Resumption {
  readonly symbol: string;
  /** The function of the sleeping thread that goes on. */
  readonly within: string;
  readonly why: string;
}

export const RESUMPTIONS: readonly Resumption[] = [
  {
    symbol: 'driver_bound',
    within: 'really_probe',
    why: 'nvme_probe slept in flush_work until the scan was done; its caller goes on where it woke.',
  },
  {
    symbol: 'module_address_lookup',
    within: 'async_synchronize_full',
    why: 'insmod slept until the asynchronous probe was done, and goes on where it woke.',
  },
];
