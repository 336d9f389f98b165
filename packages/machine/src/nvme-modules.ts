/** The two modules of the stack, as `modprobe` knows them: nvme_core (nvme-core.ko) and nvme (nvme.ko). */
import type { Modules } from '@nvme-stack/modules/ports';
import type { NvmeCore } from '@nvme-stack/nvme-core/ports';
import type { NvmePciDriver } from '@nvme-stack/nvme-pci-driver/ports';

const INFO = { author: 'Matthew Wilcox <willy@linux.intel.com>', license: 'GPL', version: '1.0' } as const;

/** Makes both known to the module loader. */
export function provideNvmeModules(modules: Modules, core: NvmeCore, driver: NvmePciDriver): void {
  modules.provide({
    name: 'nvme_core',
    dependsOn: [],
    params: core.params,
    info: { ...INFO, description: 'NVMe host core framework' },
    initSymbol: 'nvme_core_init',
    exitSymbol: 'nvme_core_exit',
    init: (params) => core.nvmeCoreInit(params),
    exit: () => core.nvmeCoreExit(),
  });
  modules.provide({
    name: 'nvme',
    dependsOn: ['nvme_core'],
    params: driver.params,
    info: { ...INFO, description: 'NVMe host PCIe transport driver' },
    initSymbol: 'nvme_init',
    exitSymbol: 'nvme_exit',
    init: (params) => driver.nvmeInit(params),
    exit: () => driver.nvmeExit(),
  });
}
