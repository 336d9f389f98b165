/** The floor table: which packages each package may depend on. Imports are checked against these manifests. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
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
};

interface Manifest {
  name: string;
  dependencies?: Record<string, string>;
  exports: Record<string, string | Record<string, string>>;
}

const packages = new URL('../packages/', import.meta.url);
const names = readdirSync(packages);
const manifest = (name: string): Manifest =>
  JSON.parse(readFileSync(new URL(`${name}/package.json`, packages), 'utf8')) as Manifest;

describe.each(names)('package %s', (name) => {
  it('depends on workspace packages only, and only on those its floor allows', () => {
    const allowed = name === 'machine' ? names.filter((other) => other !== name) : ALLOWED[name].split(' ');
    const allowedNames = allowed.map((other) => `@nvme-stack/${other}`);
    const extra = Object.keys(manifest(name).dependencies ?? {}).filter((other) => !allowedNames.includes(other));
    expect(extra).toEqual([]);
  });

  it('has a source file for every entry it exports', () => {
    const sources = Object.values(manifest(name).exports).flatMap((target) =>
      typeof target === 'string' ? [target] : [target['@nvme-stack/source']],
    );
    const missing = sources.filter((source) => !existsSync(new URL(`${name}/${source}`, packages)));
    expect(missing).toEqual([]);
  });
});
