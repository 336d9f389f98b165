/** rmmod, and what was left behind. */
import { type Call, cutTree, firstOnly, rootOf, taskCalls } from '../call-tree.js';
import { count, first, table, us, type View, wrap } from '../layout.js';
import { ONCE, UNLOADING } from '../milestones.js';
import type { Leak, Unloaded } from '../session.js';
import { logLines } from './dmesg.js';
import { callHead, callText } from './text.js';

export function unloadingScreen({ entries, dmesg }: Unloaded, view: View): string[] {
  const root = rootOf(taskCalls(entries), 'nvme_remove');
  const tree =
    root === undefined
      ? [view.paint.quiet('  No device was bound: there is nothing to remove.')]
      : [
          callHead(view),
          ...callText(
            cutTree(root, firstOnly(ONCE, isShown)),
            view,
            UNLOADING,
            new Set(['nvme_remove', 'nvme_dev_disable']),
          ),
        ];
  return [
    ...tree,
    '',
    ...deleted(entries, view.width),
    ...(root === undefined ? [] : [`rmmod is done with the driver after ${us(root.entry.durationNs)} us.`]),
    ...(dmesg.length > 0 ? ['', ...logLines(dmesg, view)] : []),
  ];
}

function isShown({ entry }: Call): boolean {
  return UNLOADING[entry.symbol] !== undefined;
}

/** In which order the controller was told to delete its queues. */
function deleted(entries: Unloaded['entries'], width: number): string[] {
  const queues = (symbol: string): string =>
    entries.flatMap((entry) => (entry.symbol === symbol ? [entry.args[0]] : [])).join(' ');
  const [sqs, cqs] = [queues('pci_nvme_del_sq'), queues('pci_nvme_del_cq')];
  if (sqs === '' && cqs === '') return [];
  return wrap(`Deleted by command: SQ ${sqs}, then CQ ${cqs}. The admin queue has no such command; CC ends it.`, width);
}

/** What each kind of thing is called. */
const KINDS: Readonly<Record<string, string>> = {
  pages: 'pages of memory',
  mappings: 'DMA mappings',
  regions: 'I/O memory regions',
  pools: 'DMA pools',
  vectors: 'interrupt vectors',
  work: 'works and workqueues',
  kobjects: 'kernel objects',
  tags: 'tags',
};
const MOST_LEAKS = 20;

/** Everything the modules had made, and what of it is still there. */
export function leftScreen(
  { held, leaks }: Unloaded,
  { entries, hash, nowNs }: { readonly entries: number; readonly hash: string; readonly nowNs: number },
  view: View,
): string[] {
  const { paint } = view;
  const kinds = [...new Set([...held, ...leaks].map(({ kind }) => kind))];
  const rows = kinds.map((kind) => [KINDS[kind] ?? kind, sum(held, kind), sum(leaks, kind)]);
  const lines = leaks.map(({ kind, name, count: left }) => paint.bad(`  ${left} x ${KINDS[kind] ?? kind}: ${name}`));
  return [
    ...table(view, ['kind', 'while loaded', 'now'], rows),
    '',
    leaks.length === 0 ? `Left behind: ${paint.good('nothing')}.` : paint.bad('Left behind:'),
    ...first(lines, MOST_LEAKS, 'kinds of things', paint),
    '',
    paint.quiet(`${count(entries)} trace entries; ${us(nowNs)} us of ${view.time} time; trace hash ${hash}`),
  ];
}

function sum(leaks: readonly Leak[], kind: string): number {
  return leaks.reduce((total, leak) => total + (leak.kind === kind ? leak.count : 0), 0);
}
