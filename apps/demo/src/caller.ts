/** Where the one who calls stands: package managers change the directory before they run a script. */
import { resolve } from 'node:path';

/** The directory that relative paths start from. `root` is the workspace's, where a package manager runs its scripts. */
export function callerDirectory(cwd: string, root: string, env: Readonly<Record<string, string | undefined>>): string {
  const { INIT_CWD } = env;
  return INIT_CWD !== undefined && INIT_CWD !== '' && resolve(cwd) === resolve(root) ? INIT_CWD : cwd;
}
