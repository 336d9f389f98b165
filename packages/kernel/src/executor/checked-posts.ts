/** Posting to a CPU that is off: what nobody may do, and how it is found out. */
import type { Item } from '../ports.js';
import { NO_CPU } from '../ports.js';
import type { VirtualCpu } from './virtual-cpu.js';

/** What posts, as far as this check needs it. */
interface Poster {
  post(item: Item): boolean;
  bug(message: string): never;
}

/** From now on a post to a CPU in whose place another one stands is a BUG. Until then, posting costs nothing for it. */
export function checkPosts(ex: Poster, cpus: readonly VirtualCpu[]): void {
  const post = ex.post.bind(ex);
  ex.post = (item) => {
    const { cpu } = item;
    if (cpu !== NO_CPU && (cpus[cpu] as VirtualCpu).id !== cpu)
      ex.bug(`${item.context} item posted to CPU ${cpu}, which is off`);
    return post(item);
  };
}
