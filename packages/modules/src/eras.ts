/** What differs between kernel profiles in the module loader, as data. */
import type { KernelProfile } from '@nvme-stack/kernel';

/** One era's choices. */
export interface ModulesEra {
  /** Whether insmod waits for asynchronous probes by default, or only for a module that says it started some. */
  readonly synchronize: 'unless-declined' | 'if-requested';
  /** When user space hears of a module: when its directory is made, or when its init has returned. */
  readonly addUevent: 'before-init' | 'after-init';
}

const MODERN: ModulesEra = { synchronize: 'unless-declined', addUevent: 'after-init' };
const V4: ModulesEra = { synchronize: 'if-requested', addUevent: 'before-init' };

/** The table. */
export const MODULES_ERAS: Readonly<Record<KernelProfile, ModulesEra>> = {
  '6.12': MODERN,
  '6.1': MODERN,
  '4.13': V4,
  '4.10': V4,
};
