import type { Machine } from '@nvme-stack/machine';
import type { NvmeController } from '@nvme-stack/nvme-controller/ports';
import { NVME_IOCTL_ADMIN_CMD, type NvmePassthruCmd } from '@nvme-stack/nvme-core/ports';
import { describe, expect, it } from 'vitest';
import { codeOf, NVME_BDF, running, SECOND_NS } from '../features/bench.js';

const HWMON = '/sys/class/hwmon/hwmon0';

async function heat(machine: Machine, kelvin: number): Promise<void> {
  const controller = machine.device(NVME_BDF).function as NvmeController;
  await machine.task('bench', async () => controller.setTemperatureKelvin(kelvin));
}

/** Opcodes of the admin commands sent while `work` ran. */
async function commandsOf(machine: Machine, work: () => Promise<unknown>): Promise<number[]> {
  const first = machine.trace.entries.length;
  await work();
  return machine.trace.entries
    .slice(first)
    .filter(({ kind, symbol }) => kind === 'nvme' && symbol === 'nvme_setup_cmd')
    .map(({ args }) => args[3] as number);
}

describe('hwmon', () => {
  it('reads the SMART log for whoever asks, once a second', async () => {
    const machine = await running({}, { trace: 'full' });
    expect(await machine.sysfs.cat(`${HWMON}/temp1_input`)).toBe('49850\n');
    await heat(machine, 330);
    await machine.run(0.5 * SECOND_NS);
    const cat = () => machine.sysfs.cat(`${HWMON}/temp1_input`);
    expect(await commandsOf(machine, cat)).toEqual([]);
    expect(await cat()).toBe('49850\n');
    await machine.run(1.1 * SECOND_NS);
    expect(await commandsOf(machine, cat)).toEqual([2]);
    expect(await cat()).toBe('56850\n');
    expect(machine.sysfs.read(`${HWMON}/temp1_input`)).toBe('56850\n');
  });

  it('sets thresholds in the controller and asks it for them', async () => {
    const machine = await running({}, { trace: 'full' });
    await machine.sysfs.write(`${HWMON}/temp1_max`, '79850\n');
    const over: NvmePassthruCmd = { opcode: 10, cdw10: 4 };
    await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, over);
    expect(over.result).toBe(353);
    await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 9, cdw10: 4, cdw11: 360 });
    expect(await commandsOf(machine, () => machine.sysfs.cat(`${HWMON}/temp1_max`))).toEqual([10]);
    expect(await machine.sysfs.cat(`${HWMON}/temp1_max`)).toBe('86850\n');
    await machine.sysfs.write(`${HWMON}/temp1_min`, '-3150');
    expect(await machine.sysfs.cat(`${HWMON}/temp1_min`)).toBe('-3150\n');
    expect(await codeOf(machine.sysfs.write(`${HWMON}/temp1_max`, 'warm'))).toBe('EINVAL');
    expect(await codeOf(machine.sysfs.write(`${HWMON}/temp1_crit`, '1'))).toBe('EACCES');
  });

  it('raises its alarm when the controller warns', async () => {
    const machine = await running();
    expect(await machine.sysfs.cat(`${HWMON}/temp1_alarm`)).toBe('0\n');
    await heat(machine, 353);
    await machine.run(2 * SECOND_NS);
    expect(await machine.sysfs.cat(`${HWMON}/temp1_alarm`)).toBe('1\n');
  });
});

describe('a namespace’s use', () => {
  it('is asked of the controller at most every five seconds', async () => {
    const machine = await running({}, { trace: 'full' });
    const cat = () => machine.sysfs.cat('/sys/block/nvme0n1/nuse');
    expect(await commandsOf(machine, cat)).toEqual([6]);
    await machine.run(4 * SECOND_NS);
    expect(await commandsOf(machine, cat)).toEqual([]);
    await machine.run(2 * SECOND_NS);
    expect(await commandsOf(machine, cat)).toEqual([6]);
    expect(await cat()).toBe('16384\n');
  });
});
