import { it } from 'vitest';
import { writeFileSync } from 'node:fs';
import { main } from './main.js';
it('x', async () => { let t = ''; let e=''; const c = await main((process.env['ARGS'] ?? '').split(' ').filter(Boolean), { out: (x) => { t += x; }, error: (x) => { e += x; }, colour: false }); writeFileSync('/tmp/tmp.XFHdyrVEZg/out.txt', t); console.log(c, e); });
