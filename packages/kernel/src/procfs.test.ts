import { describe, expect, it } from 'vitest';
import { createProcfs } from './procfs.js';

describe('/proc', () => {
  it('makes a file’s text when it is read, until the file is removed', () => {
    const procfs = createProcfs();
    let reads = 0;
    const remove = procfs.register('/proc/modules', () => `${++reads}\n`);
    procfs.register('/proc/interrupts', () => '');
    expect(procfs.read('/proc/modules') + procfs.read('/proc/modules')).toBe('1\n2\n');
    expect(procfs.list()).toEqual(['/proc/interrupts', '/proc/modules']);
    remove();
    expect(procfs.list()).toEqual(['/proc/interrupts']);
    expect(() => procfs.read('/proc/modules')).toThrow('ENOENT');
  });

  it('does not remove the successor of a removed file', () => {
    const procfs = createProcfs();
    const remove = procfs.register('/proc/a', () => 'old');
    remove();
    procfs.register('/proc/a', () => 'new');
    remove();
    expect(procfs.read('/proc/a')).toBe('new');
  });

  it('refuses a second file of the same path, and paths elsewhere', () => {
    const procfs = createProcfs();
    procfs.register('/proc/a', () => '');
    expect(() => procfs.register('/proc/a', () => '')).toThrow('EEXIST');
    expect(() => procfs.register('/sys/a', () => '')).toThrow('EINVAL');
  });
});
