import type { Procfs } from './ports.js';
/** Makes an empty /proc. @kernel fs/proc/generic.c proc_create_single_data */
export declare function createProcfs(): Procfs;
//# sourceMappingURL=procfs.d.ts.map