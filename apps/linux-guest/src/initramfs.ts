/** What the guest's first root holds: busybox, the modules, nvme-cli and e2fsprogs with their libraries, an init. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type ArchiveFile, cpioArchive } from './cpio.js';
import type { DebianFiles } from './debian.js';

/** Loaded by init, in this order after what they depend on; `nvme` itself is left to the user. */
const MODULES = ['crc32c_generic', 'crct10dif_generic', 'crc64_rocksoft_generic', 't10-pi', 'nvme-core', 'ext4'];
const LEFT_TO_THE_USER = ['nvme'];
const PROGRAMS = ['usr/sbin/nvme', 'sbin/mke2fs', 'sbin/e2fsck'];
const LIBRARIES = [
  'ld-linux.so.2',
  'libblkid.so.1',
  'libc.so.6',
  'libcap.so.2',
  'libcom_err.so.2',
  'libcrypto.so.3',
  'libdbus-1.so.3',
  'libe2p.so.2',
  'libext2fs.so.2',
  'libgcc_s.so.1',
  'libgcrypt.so.20',
  'libgpg-error.so.0',
  'libjson-c.so.5',
  'liblz4.so.1',
  'liblzma.so.5',
  'libnvme-mi.so.1',
  'libnvme.so.1',
  'libsystemd.so.0',
  'libuuid.so.1',
  'libz.so.1',
  'libzstd.so.1',
];
const LIBRARY_FOLDERS = ['lib/i386-linux-gnu', 'usr/lib/i386-linux-gnu', 'lib'];

/** Reads commands up to a line @@RUN from the second serial line, runs them, and ends their output with the status. */
const AGENT = `#!/bin/sh
stty raw -echo
while true; do
  echo @@READY
  : > /run/command
  while IFS= read -r line && [ "$line" != @@RUN ]; do printf '%s\\n' "$line" >> /run/command; done
  sh /run/command < /dev/null
  echo "@@STATUS $?"
done
`;

const INIT = (insmods: string): string => `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/sbin LD_LIBRARY_PATH=/lib HOME=/ TERM=vt100
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /run /mnt /tmp
${insmods}
setsid sh /agent < /dev/ttyS1 > /dev/ttyS1 2>&1 &
while true; do
  setsid sh -c 'exec sh -l < /dev/ttyS0 > /dev/ttyS0 2>&1'
done
`;

/** The initramfs for those packages. */
export function buildInitramfs({ root, kernelRelease }: DebianFiles): Uint8Array {
  const modules = moduleFiles(root, kernelRelease);
  const order: string[] = [];
  for (const name of MODULES) addWithDependencies(name, modules, order);
  const all = [...order, ...LEFT_TO_THE_USER];
  const files: ArchiveFile[] = [
    { path: 'bin/busybox', content: readFileSync(join(root, 'bin/busybox')), executable: true },
    ...PROGRAMS.map((path) => ({ path, content: readFileSync(join(root, path)), executable: true })),
    ...LIBRARIES.map((name) => ({
      path: `lib/${name}`,
      content: readFileSync(findLibrary(root, name)),
      executable: true,
    })),
    ...all.map((name) => ({ path: `modules/${name}.ko`, content: readFileSync(modules.get(name) as string) })),
    { path: 'agent', content: AGENT },
    { path: 'etc/passwd', content: 'root:x:0:0:root:/:/bin/sh\n' },
    { path: 'etc/profile', content: "PS1='guest# '\n" },
    { path: 'etc/nvme/hostnqn', content: 'nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-000000000000\n' },
    { path: 'proc/.keep', content: '' },
    { path: 'sys/.keep', content: '' },
    { path: 'dev/.keep', content: '' },
    {
      path: 'init',
      content: INIT(order.map((name) => `insmod /modules/${name}.ko`).join('\n')),
      executable: true,
    },
  ];
  return cpioArchive(files, {
    'bin/sh': 'busybox',
    'sbin/mkfs.ext4': 'mke2fs',
    'sbin/fsck.ext4': 'e2fsck',
    'etc/mtab': '/proc/mounts',
  });
}

/** Path of every module, by the name in its file. */
function moduleFiles(root: string, kernelRelease: string): Map<string, string> {
  const folder = join(root, 'lib/modules', kernelRelease, 'kernel');
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ko'));
  return new Map(paths.map((path) => [basename(path, '.ko'), join(folder, path)]));
}

function addWithDependencies(name: string, modules: ReadonlyMap<string, string>, order: string[]): void {
  const path = modules.get(name);
  if (path === undefined) throw new Error(`the kernel package has no module ${name}`);
  const depends = /depends=([^\0]*)\0/.exec(readFileSync(path, 'latin1'))?.[1] ?? '';
  for (const other of depends.split(',').filter((one) => one !== '')) addWithDependencies(other, modules, order);
  if (!order.includes(name)) order.push(name);
}

function findLibrary(root: string, name: string): string {
  const found = LIBRARY_FOLDERS.map((folder) => join(root, folder, name)).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`the packages have no library ${name}`);
  return found;
}
