// Behaviour of the SR-IOV capability, of extended capabilities in their list, and of MSI-X that states fewer vectors.
import { describe, expect, it } from 'vitest';
import * as regs from './index.js';
import { PciEndpoint, type SriovDescription } from './index.js';

const AT = 0x120;
const IDENTITY = { vendorId: 0x1b36, deviceId: 0x10, revisionId: 2, classCode: 0x010802 };
const VFS: SriovDescription = {
  offset: AT,
  totalVfs: 3,
  firstVfOffset: 1,
  vfStride: 2,
  vfDeviceId: 0x11,
  bars: [{ index: 0, sizeBytes: 0x4000, is64Bit: true }],
};

function physical(onChange = (): void => {}) {
  return new PciEndpoint(
    {
      identity: IDENTITY,
      bars: [],
      capabilities: [
        { kind: 'msix', offset: 0x40, vectors: 8, tableBar: 0, tableOffset: 0x2000, pbaBar: 0, pbaOffset: 0x3000 },
        { kind: 'ari', offset: 0x100, nextFunction: 1 },
        { kind: 'sriov', ...VFS },
      ],
    },
    { functionLevelReset: () => {}, virtualFunctionsChanged: onChange },
  );
}

describe('SR-IOV', () => {
  it('stands in the list behind ARI, with what firmware and kernel read of it', () => {
    const { config } = physical();
    expect(config.read(0x100, 4)).toBe(0x1201000e);
    expect(config.read(AT, 4)).toBe(0x00010010);
    const word = (offset: number): number => config.read(AT + offset, 2);
    expect([word(regs.PCI_SRIOV_INITIAL_VF), word(regs.PCI_SRIOV_TOTAL_VF), word(regs.PCI_SRIOV_NUM_VF)]).toEqual([
      3, 3, 0,
    ]);
    expect([word(regs.PCI_SRIOV_VF_OFFSET), word(regs.PCI_SRIOV_VF_STRIDE), word(regs.PCI_SRIOV_VF_DID)]).toEqual([
      1, 2, 0x11,
    ]);
  });

  it('counts NumVFs from the moment VF Enable is set, and at most TotalVFs', () => {
    const seen: (number | undefined)[] = [];
    const endpoint = physical(() => seen.push(endpoint.sriov?.numVfs));
    const write = (offset: number, value: number): void => endpoint.configWrite(AT + offset, value, 2);
    write(regs.PCI_SRIOV_NUM_VF, 2);
    expect(endpoint.sriov?.numVfs).toBe(0);
    write(regs.PCI_SRIOV_CTRL, regs.PCI_SRIOV_CTRL_VFE | regs.PCI_SRIOV_CTRL_MSE);
    write(regs.PCI_SRIOV_NUM_VF, 1);
    expect(endpoint.sriov?.numVfs).toBe(2);
    write(regs.PCI_SRIOV_CTRL, regs.PCI_SRIOV_CTRL_MSE);
    write(regs.PCI_SRIOV_NUM_VF, 9);
    write(regs.PCI_SRIOV_CTRL, regs.PCI_SRIOV_CTRL_VFE);
    expect(seen).toEqual([2, 0, 3]);
  });

  it('loses BARs, number and VF Enable in a reset, and keeps its size', () => {
    const endpoint = physical();
    const bar = AT + regs.PCI_SRIOV_BAR;
    endpoint.configWrite(bar, 0xffffffff, 4);
    expect(endpoint.configRead(bar, 4)).toBe(0xffffc004);
    endpoint.configWrite(AT + regs.PCI_SRIOV_NUM_VF, 2, 2);
    endpoint.configWrite(AT + regs.PCI_SRIOV_CTRL, regs.PCI_SRIOV_CTRL_VFE, 2);
    endpoint.reset();
    expect([endpoint.configRead(bar, 4), endpoint.sriov?.numVfs]).toEqual([4, 0]);
    expect(endpoint.configRead(AT + regs.PCI_SRIOV_CTRL, 2)).toBe(0);
    expect(endpoint.configRead(AT + regs.PCI_SRIOV_NUM_VF, 2)).toBe(0);
  });

  it('refuses a list that does not begin at 100h, and no virtual functions', () => {
    const made = (sriov: SriovDescription) => () =>
      new PciEndpoint(
        { identity: IDENTITY, bars: [], capabilities: [{ kind: 'sriov', ...sriov }] },
        { functionLevelReset: () => {} },
      );
    expect(made(VFS)).toThrow(
      'extended capability offset 288 is not allowed: the first one, and no other, is at 0x100',
    );
    expect(made({ ...VFS, offset: 0x102 })).toThrow('must be a multiple of 4 in 0x100..0xffc');
    expect(made({ ...VFS, offset: 0x100, totalVfs: 0 })).toThrow('SR-IOV totalVfs 0 is not allowed');
  });
});

describe('MSI-X', () => {
  it('states as many vectors as the device says, also after a reset, and no more than its table has', () => {
    const endpoint = physical();
    const size = (): number => (endpoint.configRead(0x42, 2) & regs.PCI_MSIX_FLAGS_QSIZE) + 1;
    expect(size()).toBe(8);
    endpoint.msix?.setVectors(3);
    expect([size(), endpoint.msix?.vectors]).toEqual([3, 3]);
    endpoint.configWrite(0x42, regs.PCI_MSIX_FLAGS_ENABLE, 2);
    endpoint.msix?.setVectors(5);
    expect(endpoint.configRead(0x42, 2)).toBe(regs.PCI_MSIX_FLAGS_ENABLE | 4);
    endpoint.reset();
    expect(size()).toBe(5);
    expect(() => endpoint.msix?.setVectors(9)).toThrow('MSI-X vectors 9 is not allowed: it must be 1..8');
  });
});
