/** Debian's i386 packages, fetched with an apt directory of our own and kept in a cache outside the tree. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { oneAtATime } from './one-at-a-time.js';

const RELEASE = 'bookworm';
const MIRROR = 'http://deb.debian.org/debian';
const KERNEL_METAPACKAGE = 'linux-image-686';
/** What the guest is made of beside the kernel. */
const PACKAGES = [
  'busybox-static',
  'e2fsprogs',
  'libblkid1',
  'libc6',
  'libcap2',
  'libcom-err2',
  'libdbus-1-3',
  'libext2fs2',
  'libgcc-s1',
  'libgcrypt20',
  'libgpg-error0',
  'libjson-c5',
  'liblz4-1',
  'liblzma5',
  'libnvme1',
  'libssl3',
  'libsystemd0',
  'libuuid1',
  'libzstd1',
  'nvme-cli',
  'seabios',
  'zlib1g',
];
/** Counted up when the list or the layout of the cache changes. */
const CACHE_VERSION = 1;
const FETCH_TIMEOUT_MS = 300_000;
const FAILURE_HOLDS_MS = 30_000;

/** The unpacked packages. */
export interface DebianFiles {
  /** Folder with the packages' files. */
  readonly root: string;
  /** `6.1.0-50-686` or later. */
  readonly kernelRelease: string;
}

/** Where packages and snapshots are kept: `NVME_STACK_CACHE`, or `nvme-stack` in the user's cache folder. */
export function cacheFolder(): string {
  const { NVME_STACK_CACHE, XDG_CACHE_HOME } = process.env;
  return NVME_STACK_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'nvme-stack');
}

/** Debian's packages cannot be had; the message says why and what would help. */
export class PackagesMissing extends Error {}

/** The packages, from the cache or from Debian; rejects with PackagesMissing. */
export function debianFiles(): Promise<DebianFiles> {
  const cache = cacheFolder();
  const root = join(cache, `debian-${RELEASE}-i386-${CACHE_VERSION}`);
  mkdirSync(cache, { recursive: true });
  return oneAtATime(
    `${root}.lock`,
    () => {
      if (existsSync(join(root, 'complete'))) return filesIn(root);
      rejectIfJustFailed(`${root}.failed`);
      return null;
    },
    () => {
      fetchInto(root);
      return filesIn(root);
    },
  );
}

function filesIn(root: string): DebianFiles {
  return { root, kernelRelease: readFileSync(join(root, 'complete'), 'utf8').trim() };
}

/** Processes that waited for the one that tried need not try, too. */
function rejectIfJustFailed(path: string): void {
  if (!existsSync(path) || Date.now() - statSync(path).mtimeMs > FAILURE_HOLDS_MS) return;
  throw new PackagesMissing(readFileSync(path, 'utf8'));
}

/** Fetches beside the folder and moves it into place at the end, so that a broken fetch leaves nothing behind. */
function fetchInto(root: string): void {
  for (const tool of ['apt-get', 'apt-cache', 'dpkg-deb']) {
    if (spawnSync(tool, ['--version']).error) {
      throw new PackagesMissing(`no Debian kernel here: it is fetched with ${tool}, which this system does not have`);
    }
  }
  const work = `${root}.${process.pid}`;
  try {
    const environment = aptDirectory(work);
    const run = (tool: string, ...args: string[]): string =>
      execFileSync(tool, args, {
        cwd: work,
        env: { ...process.env, ...environment, LC_ALL: 'C' },
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: FETCH_TIMEOUT_MS,
      });
    run('apt-get', 'update', '-o', 'APT::Update::Error-Mode=any');
    const kernel = /Depends: (linux-image-\S+)/.exec(run('apt-cache', 'depends', KERNEL_METAPACKAGE))?.[1];
    if (kernel === undefined) throw new Error(`${KERNEL_METAPACKAGE} names no kernel`);
    run('apt-get', 'download', kernel, ...PACKAGES);
    const archives = readdirSync(work).filter((name) => name.endsWith('.deb'));
    for (const archive of archives) run('dpkg-deb', '-x', archive, join(work, 'root'));
    writeFileSync(join(work, 'root', 'complete'), `${kernel.slice('linux-image-'.length)}\n`);
    rmSync(root, { recursive: true, force: true });
    renameSync(join(work, 'root'), root);
  } catch (error) {
    const message = `no Debian kernel here: ${MIRROR} could not be used (${reason(error)})`;
    writeFileSync(`${root}.failed`, message);
    throw new PackagesMissing(message);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** An apt that knows i386 and this release only, and nothing of the system's packages. */
function aptDirectory(work: string): { APT_CONFIG: string } {
  for (const folder of ['lists/partial', 'cache/archives/partial', 'root']) {
    mkdirSync(join(work, folder), { recursive: true });
  }
  writeFileSync(join(work, 'sources.list'), `deb [arch=i386] ${MIRROR} ${RELEASE} main\n`);
  writeFileSync(join(work, 'status'), '');
  const settings = {
    'Dir::Etc::sourcelist': join(work, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::State': work,
    'Dir::State::lists': join(work, 'lists'),
    'Dir::State::status': join(work, 'status'),
    'Dir::Cache': join(work, 'cache'),
    'APT::Architecture': 'i386',
    'APT::Architectures': 'i386',
    'APT::Sandbox::User': '',
    'Acquire::Retries': '2',
    'Acquire::http::Timeout': '20',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} ${JSON.stringify(value)};\n`);
  writeFileSync(join(work, 'apt.conf'), lines.join(''));
  return { APT_CONFIG: join(work, 'apt.conf') };
}

function reason(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message?: string };
  const lines = (stderr || message || String(error)).trim().split('\n');
  return (lines.find((line) => line.startsWith('E:')) ?? (lines.at(-1) as string)).replace(/^E: /, '');
}
