/** The stream: commands of both sets, valid and hostile, from a seed. Doorbell Buffer Config stays out: it would move the doorbells. */
import { ADMIN_COMMANDS } from './admin-commands.js';
import { Draft, type Maker, NSIDS, type Weighted } from './draft.js';
import { change } from './hostile-fields.js';
import { IO_COMMANDS } from './io-commands.js';
import { Medium } from './medium.js';
import { Random } from './random.js';
import { DATA_PAGES, type Step } from './step.js';

const DBBUF = 0x7c;
const ALL_PAGES = Array.from({ length: DATA_PAGES }, (_, page) => page);

/** Makes the steps of a seed, one after another. */
export class Stream {
  private readonly random: Random;
  /** The format that the next command is made for. */
  readonly medium = new Medium();

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  next(): Step {
    const { random } = this;
    const draft = new Draft(this.medium);
    const isIo = random.below(100) < 45;
    const [name, make] = weighted(isIo ? IO_COMMANDS : ADMIN_COMMANDS, random);
    draft.name = name;
    draft.queue = isIo ? 1 + random.below(2) : 0;
    draft.set(1, random.oneIn(12) ? random.pick(NSIDS) : 1);
    make(draft, random);
    if (random.oneIn(3)) change(draft, random);
    // It may reach any of them now: a pointer, a length or the opcode may be another.
    if (draft.changed.length > 0) draft.pages.splice(0, draft.pages.length, ...ALL_PAGES);
    if (draft.queue === 0 && draft.sqe[0] === DBBUF) draft.sqe[0] = 0xc5;
    draft.mayPend ||= draft.queue === 0 && [2, 9, 0xc].includes(draft.sqe[0] as number);
    this.medium.follow(draft);
    return draft;
  }
}

function weighted(table: readonly Weighted[], random: Random): readonly [string, Maker] {
  let at = random.below(table.reduce((sum, [weight]) => sum + weight, 0));
  for (const [weight, name, make] of table) {
    at -= weight;
    if (at < 0) return [name, make];
  }
  throw new Error('the table is empty');
}
