import { describe, expect, it } from 'vitest';
import type { TraceEntry } from '../../ports.js';
import { createTestKernel } from '../../testing/test-kernel.js';
import { traced } from '../traced.js';
import { callForest, callTree, functionGraphText, printFunctionGraph } from './index.js';

let seq = 0;

function call(
  symbol: string,
  startNs: number,
  durationNs: number,
  depth: number,
  more: Partial<TraceEntry> = {},
): TraceEntry {
  const base = {
    cpu: 0,
    task: 'dd',
    pid: 1503,
    context: 'task',
    kind: 'function',
    fields: [],
    args: [],
    text: '',
  } as const;
  return { ...base, seq: seq++, startNs, durationNs, depth, symbol, ...more };
}

const IRQ = { context: 'hardirq', task: 'swapper/0', pid: 0 } as const;
const MODULES: Record<string, string> = { nvme_queue_rq: 'nvme', nvme_setup_cmd: 'nvme_core', nvme_irq: 'nvme' };
const moduleOf = (symbol: string): string | undefined => MODULES[symbol];

const HEADER = `# tracer: function_graph
#
# CPU  DURATION                  FUNCTION CALLS
# |     |   |                     |   |   |   |
`;

describe('functionGraphText', () => {
  it('writes leaves on one line, nested calls with braces and a block where the task changes', () => {
    const entries = [
      call('blk_mq_submit_bio', 1000, 278_498, 0),
      call('blk_mq_get_tag', 2000, 34_322, 1),
      call('nvme_queue_rq', 50_000, 160_910, 1),
      call('nvme_setup_cmd', 51_000, 5_162, 2),
      call('nvme_irq', 400_000, 9_999, 0, IRQ),
      call('blk_mq_submit_bio', 500_000, 10_000, 0),
    ];
    expect(functionGraphText(entries, { moduleOf })).toBe(`${HEADER} 0)               |  blk_mq_submit_bio() {
 0) + 34.322 us   |    blk_mq_get_tag();
 0)               |    nvme_queue_rq [nvme]() {
 0)   5.162 us    |      nvme_setup_cmd [nvme_core]();
 0) ! 160.910 us  |    }
 0) ! 278.498 us  |  }
 ------------------------------------------
 0)    dd-1503     =>    <idle>-0   
 ------------------------------------------

 0)   9.999 us    |  nvme_irq [nvme]();
 ------------------------------------------
 0)    <idle>-0    =>    dd-1503    
 ------------------------------------------

 0)   10.000 us   |  blk_mq_submit_bio();
`);
  });

  it.each([
    [10_001, '+ 10.001 us   '],
    [100_001, '! 100.001 us  '],
    [6_966_085, '# 6966.085 us '],
    [40_799_609, '* 40799.60 us '],
    [163_604_399, '@ 163604.3 us '],
    [1_000_000_001, '$ 1000000 us  '],
    [12_345_678_900, '$ 12345678 us '],
    [0, '  0.000 us    '],
  ])('writes a duration of %i ns as "%s"', (durationNs, cell) => {
    expect(functionGraphText([call('msleep', 0, durationNs, 0)])).toBe(`${HEADER} 0) ${cell}|  msleep();\n`);
  });

  it('merges CPUs by time and gives each its own last task', () => {
    const entries = [
      call('a', 0, 500, 0),
      call('b', 100, 100, 0, { cpu: 1, pid: 7, task: 'kworker/1:0' }),
      call('c', 300, 100, 1),
    ];
    expect(functionGraphText(entries)).toBe(`${HEADER} 0)               |  a() {
 1)   0.100 us    |  b();
 0)   0.100 us    |    c();
 0)   0.500 us    |  }
`);
    expect(functionGraphText([call('a', 0, 9, 0), call('b', 1, -1, 1)])).toBe(`${HEADER} 0)               |  a() {
 0)               |    b() {
`);
    expect(functionGraphText(entries, { cpu: 1 })).toBe(`${HEADER} 1)   0.100 us    |  b();\n`);
    expect(functionGraphText([call('a', 0, 5, 0)], { nrCpus: 16 })).toBe(`${HEADER}  0)   0.005 us    |  a();\n`);
  });

  it('names the function behind a closing brace when another call took its place', () => {
    const entries = [
      call('nvme_reset_ctrl_sync', 0, 163_604_300, 0),
      call('nvme_reset_work', 1000, 5000, 0, { pid: 25, task: 'kworker/1:1' }),
      call('nvme_remap_bar', 2000, 1000, 1, { pid: 25, task: 'kworker/1:1' }),
      call('flush_work', 10_000, 9_000, 1, { cpu: 1 }),
    ];
    expect(functionGraphText(entries).slice(HEADER.length)).toBe(` 0)               |  nvme_reset_ctrl_sync() {
 ------------------------------------------
 0)    dd-1503     =>   kworker-25  
 ------------------------------------------

 0)               |  nvme_reset_work() {
 0)   1.000 us    |    nvme_remap_bar();
 0)   5.000 us    |  }
 1)   9.000 us    |    flush_work();
 1) @ 163604.3 us |  } /* nvme_reset_ctrl_sync */
`);
  });

  it('names it too when only a leaf stood at its depth meanwhile', () => {
    const entries = [
      call('flush_work', 0, 9000, 0),
      call('msleep', 100, 100, 1),
      call('flush_work', 1000, 1000, 0, { pid: 25, task: 'kworker/1:1' }),
    ];
    expect(functionGraphText(entries)).toMatch(/ 0\) {3}9\.000 us {4}\| {2}\} \/\* flush_work \*\/\n$/);
  });

  it('leaves out other events and what runs on no CPU', () => {
    const entries = [call('pci_nvme_irq_msix', 0, 0, 0, { kind: 'msi' }), call('x', 0, 0, 0, { cpu: -1 })];
    expect(functionGraphText(entries)).toBe(HEADER);
    expect(printFunctionGraph([])).toBe(HEADER);
  });
});

describe('callTree', () => {
  it('keeps an interrupt and a task apart, counts repeats and can start at a function', () => {
    const entries = [
      call('nvme_probe', 0, 100, 0),
      call('dma_pool_create', 1, 1, 1),
      call('nvme_irq', 2, 1, 0, IRQ),
      call('dma_pool_create', 3, 1, 1),
      call('nvme_alloc_queue', 4, 1, 1),
      call('ioremap', 5, 1, 2),
    ];
    expect(callTree(entries)).toBe(`nvme_probe
  dma_pool_create x2
  nvme_alloc_queue
    ioremap
nvme_irq
`);
    expect(callTree(entries, { root: 'nvme_alloc_queue' })).toBe('nvme_alloc_queue\n  ioremap\n');
    expect(callTree(entries, { task: 'swapper/0' })).toBe('nvme_irq\n');
    expect(callTree([])).toBe('');
    expect(callForest(entries).map((node) => node.entry.symbol)).toEqual(['nvme_probe', 'nvme_irq']);
  });

  it('follows the functions of a running kernel', async () => {
    const { kernel, door } = createTestKernel();
    const inner = traced('nvme_init_queue', (_: typeof kernel) => {});
    const outer = traced('nvme_reset_work', async (self: typeof kernel) => {
      inner(self);
      inner(self);
    });
    await door.call('insmod', () => outer(kernel));
    expect(callTree(kernel.trace.entries)).toBe('nvme_reset_work\n  nvme_init_queue x2\n');
    expect(functionGraphText(kernel.trace.entries)).toMatch(
      /^ 0\) {15}\| {2}nvme_reset_work\(\) \{\n 0\) . +\d+\.\d{3} us +\| {4}nvme_init_queue\(\);\n/m,
    );
  });
});
