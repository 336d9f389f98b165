/** The floor table: which packages each package may depend on. Imports are checked against these manifests. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** Lowest floor first; `machine` alone may have everything. */
const ALLOWED: Record<string, string> = {
  wire: '',
  kernel: '',
  'nvme-protocol': 'wire',
  'pci-function': 'wire',
  workqueue: 'kernel',
  irq: 'kernel',
  'device-core': 'kernel workqueue',
  'nvme-controller': 'nvme-protocol pci-function wire',
  modules: 'device-core workqueue kernel',
  'pci-bus': 'device-core irq workqueue pci-function kernel wire',
  'blk-mq': 'device-core workqueue irq kernel',
  'nvme-core': 'blk-mq device-core workqueue kernel nvme-protocol wire',
  'nvme-pci-driver': 'nvme-core pci-bus irq blk-mq device-core workqueue kernel nvme-protocol wire',
  'platform-sim': 'kernel irq pci-bus pci-function',
  'platform-qemu': 'kernel irq pci-bus pci-function',
  'v86-nvme': 'nvme-controller pci-function nvme-protocol wire',
};

interface Manifest {
  name: string;
  dependencies?: Record<string, string>;
  files: string[];
  exports: Record<string, string | Record<string, string>>;
}

const packages = new URL('../packages/', import.meta.url);
const names = readdirSync(packages);
const manifest = (name: string): Manifest =>
  JSON.parse(readFileSync(new URL(`${name}/package.json`, packages), 'utf8')) as Manifest;

const IMPORT = /^(?:import|export)\s+(?:[\w\s*{},]+\sfrom\s+)?'([^']+)'/gm;

/** What goes into the package: every source but tests and their fixtures, with what it imports. */
const shipped = (name: string): { path: string; imports: string[] }[] => {
  const folder = fileURLToPath(new URL(`${name}/src/`, packages));
  return (readdirSync(folder, { recursive: true }) as string[])
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && !path.startsWith('fixtures'))
    .map((path) => {
      const source = readFileSync(join(folder, path), 'utf8');
      return { path: join('src', path), imports: [...source.matchAll(IMPORT)].map((match) => match[1]) };
    });
};
const sourceEntries = (name: string): string[] =>
  Object.values(manifest(name).exports).flatMap((target) =>
    typeof target === 'string' ? [] : [join(target['@nvme-stack/source'])],
  );

describe.each(names)('package %s', (name) => {
  it('depends on workspace packages only, and only on those its floor allows', () => {
    const allowed = name === 'machine' ? names.filter((other) => other !== name) : ALLOWED[name].split(' ');
    const allowedNames = allowed.map((other) => `@nvme-stack/${other}`);
    const extra = Object.keys(manifest(name).dependencies ?? {}).filter((other) => !allowedNames.includes(other));
    expect(extra).toEqual([]);
  });

  it('imports, outside its tests, nothing but its dependencies', () => {
    const dependencies = Object.keys(manifest(name).dependencies ?? {});
    const own = [`@nvme-stack/${name}`, ...dependencies];
    const foreign = shipped(name).flatMap(({ path, imports }) =>
      imports
        .filter((target) => !target.startsWith('.') && !own.some((one) => `${target}/`.startsWith(`${one}/`)))
        .filter((target) => !(target.startsWith('node:') && /^src\/node(\/|\.ts$)/.test(path)))
        .map((target) => `${path}: ${target}`),
    );
    expect(foreign).toEqual([]);
  });

  it('ships only what its entries lead to', () => {
    const sources = new Map(shipped(name).map(({ path, imports }) => [path, imports]));
    const reached = new Set(sourceEntries(name));
    for (const path of reached) {
      const local = (sources.get(path) ?? []).filter((target) => target.startsWith('.'));
      for (const target of local) reached.add(join(path, '..', target).replace(/\.js$/, '.ts'));
    }
    expect([...sources.keys()].filter((path) => !reached.has(path))).toEqual([]);
    expect(manifest(name).files).toEqual(expect.arrayContaining(['dist', 'src', '!src/**/*.test.ts', '!src/fixtures']));
  });

  it('has a source file for every entry it exports', () => {
    const missing = sourceEntries(name).filter((source) => !existsSync(new URL(`${name}/${source}`, packages)));
    expect(missing).toEqual([]);
  });
});
