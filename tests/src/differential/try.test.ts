import { it } from 'vitest';
import { differential, reportText } from './command.js';
if (process.env.HIST) (globalThis as any).HISTORY = [];
it('x', async () => {
  const t = performance.now();
  const report = await differential(Number(process.env.N ?? 2000), Number(process.env.S ?? 1), undefined, Number(process.env.L ?? 15));
  console.log(reportText(report), performance.now() - t);
}, 1000000);
