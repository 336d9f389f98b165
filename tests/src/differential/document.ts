/** docs/differential.md, from the table of known differences. */
import { KNOWN_DIFFERENCES } from './known-differences.js';

const HEAD = `# Our controller and QEMU's, command by command

\`pnpm differential\` sends one seeded stream of commands, valid and hostile, to this project's controller and to the
NVMe controller of QEMU 7.2, configured alike (\`preset: 'qemu-7.2'\`), and compares each completion (status, Do Not
Retry, dword 0, queue and head), the memory the command could have written, events, and from time to time the
features and all of the memory. Every field of every command is varied; Doorbell Buffer Config (7Ch) is left out,
because it would move the doorbells of the host that sends the stream.

The stream follows the Format NVM commands that it sends: ranges, metadata pointers, PRINFO and tags are made for the
format at hand. QEMU's medium is a qcow2 image of 512-byte clusters, so that both know block by block what is deallocated.

    pnpm differential --commands 10000 --seed 1

It ends with how often each entry of the table was met, and which were not. A difference is told with its place in the
stream and the place where both were last started afresh: \`--from\` begins there, and meets it again within a few
commands. \`--limit\` says after how many unexplained differences it ends (20).

An entry explains what it names and no more. Where bytes of a log page or another structure differ, every one of them must
be an entry's, and beside the bytes what an entry claims of them must hold: the error log is held against the commands that
failed as the host saw them fail, a default must be zero.

A stream of a million commands (seed 2026, made in twenty parts with \`--from\`) met no other difference than these; those that
were new then stand here now, and their places were made again. A difference that is not in this table is a failure, and is fixed here where QEMU is right. Both keep what a command
may not change: a difference that may have changed a controller's state starts both afresh.

\`[NVMe]\` is numbered as the base specification 2.1, \`[NVM]\` as the NVM command set specification 1.1.

| difference | decided by | who is right, and why it stays |
| --- | --- | --- |
`;

const FOOT = `
## What survives a reset

QEMU keeps the temperature thresholds, the write cache setting, Error Recovery, asynchronous event configuration and
host behavior support over a controller reset; here they return to their defaults, as [NVMe] 4.4 has it for features that
are not saved. The stream sets them to their defaults at each fresh start.

## What QEMU taught

Where the specification leaves the order of checks open, ours is QEMU's, so that one status means the same on both:
the namespace before the opcode before the fuse bits; a log's offset before its namespace; MDTS before a log is looked
up; a segment descriptor at the end of a last SGL segment; excess SGL descriptors; the reserved threshold select.
`;

/** The document's text. */
export function documentText(): string {
  const rows = KNOWN_DIFFERENCES.map(({ id, what, spec, why }) => `| **${id}**: ${what} | ${spec} | ${why} |`);
  return `${HEAD}${rows.join('\n')}\n${FOOT}`;
}
