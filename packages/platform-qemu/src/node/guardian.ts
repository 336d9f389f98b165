/**
 * The guardian: a shell between this process and QEMU. It makes the folder in which QEMU finds its pipes and memory,
 * and takes away folder and QEMU when it is told to, when QEMU ends, and when this process is gone, however it went.
 */
import { type ChildProcess, spawn } from 'node:child_process';

/**
 * $1 is this process. The folder's name goes to standard output; then one line of input says that the media are there.
 * Whoever kills the guardian kills QEMU with it.
 */
const SCRIPT = `
[ "$PPID" = "$1" ] || exit 1
shift
folder=
qemu=
leave() {
  trap '' TERM INT HUP
  [ -z "$qemu" ] || { kill -KILL "$qemu" 2>/dev/null; wait "$qemu" 2>/dev/null; }
  [ -z "$folder" ] || rm -rf "$folder"
}
trap leave EXIT
trap 'exit 143' TERM INT HUP
base=/dev/shm
[ -d "$base" ] && [ -w "$base" ] || base=\${TMPDIR:-/tmp}
folder=$(mktemp -d "$base/nvme-stack-qemu-XXXXXX") || exit 1
mkfifo "$folder/q.in" "$folder/q.out" "$folder/m.in" "$folder/m.out" || exit 1
echo "$folder"
read -r line || exit 0
set -f
IFS='
'
set -- $(cat "$folder/args")
setpriv --pdeathsig KILL "$@" </dev/null >/dev/null 2>"$folder/errors" &
qemu=$!
echo "$qemu"
wait "$qemu"
status=$?
qemu=
exit "$status"
`;

/** Starts a guardian. */
export function startGuardian(): ChildProcess {
  const args = ['--pdeathsig', 'TERM', 'sh', '-c', SCRIPT, 'guardian', `${process.pid}`];
  return spawn('setpriv', args, { stdio: ['pipe', 'pipe', 'ignore'] });
}

/** Reads the guardian's next line of output; null when it has ended without one. */
export function nextLine(guardian: ChildProcess): Promise<string | null> {
  return new Promise((resolve) => {
    const { stdout } = guardian;
    let text = '';
    const finish = (line: string | null): void => {
      stdout?.off('data', onData);
      guardian.off('close', onEnd);
      guardian.off('error', onEnd);
      resolve(line);
    };
    const onData = (chunk: Buffer): void => {
      text += chunk.toString();
      const end = text.indexOf('\n');
      if (end >= 0) finish(text.slice(0, end));
    };
    const onEnd = (): void => finish(null);
    stdout?.on('data', onData);
    guardian.once('close', onEnd);
    guardian.once('error', onEnd);
  });
}

/** Whether this process stays for the guardian's sake. */
export function keepAlive(guardian: ChildProcess, stays: boolean): void {
  for (const handle of [guardian, guardian.stdin, guardian.stdout] as unknown as (Refable | null)[]) {
    if (stays) handle?.ref?.();
    else handle?.unref?.();
  }
}

interface Refable {
  ref?(): void;
  unref?(): void;
}

/** Ends the guardian, and QEMU with it; resolves when both are gone. */
export function endGuardian(guardian: ChildProcess): Promise<void> {
  if (guardian.pid === undefined || guardian.exitCode !== null || guardian.signalCode !== null)
    return Promise.resolve();
  return new Promise((resolve) => {
    keepAlive(guardian, true);
    guardian.once('close', () => resolve());
    guardian.kill('SIGTERM');
  });
}
