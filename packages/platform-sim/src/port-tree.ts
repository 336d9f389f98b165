/**
 * Puts the ports of a description on the board: those of the root complex, and those of switches behind them.
 * Kernel counterpart: none; PCIe topology. Spec: [PCIe] 5.0 §1.3.
 */
import type { Board } from './board.js';
import type { BoardBus } from './board-bus.js';
import { Port, type PortInit } from './port.js';
import type { PortDescription, RootPortDescription } from './ports.js';

/** Adds the ports. Throws RangeError for a place, a name or a number on a slot that is given twice. */
export function addRootPorts(board: Board, descriptions: readonly RootPortDescription[]): void {
  const numbers = new Set(descriptions.flatMap(slotNumbers));
  for (const description of descriptions) {
    const { slot, name = `port${slot}` } = description;
    if (!(slot > 0 && slot < 32) || slot % 1 !== 0) throw new RangeError(`slot is ${slot}; allowed: 1..31`);
    addPort(board, board.root, { kind: 'root', devfn: slot << 3, name }, description, numbers);
  }
}

/** Numbers that are taken before any is given out: those of the description, and of root ports their slots. */
function slotNumbers(description: PortDescription & { readonly slot?: number }): number[] {
  const { physicalSlot = description.slot, switch: below } = description;
  if (below !== undefined) return below.flatMap(slotNumbers);
  return physicalSlot === undefined ? [] : [physicalSlot];
}

function addPort(
  board: Board,
  parent: BoardBus,
  init: Omit<PortInit, 'slot'>,
  description: PortDescription & { readonly slot?: number },
  numbers: Set<number>,
): void {
  const { switch: below, attentionButton = false } = description;
  const slot = below === undefined ? { number: slotNumber(description, numbers), button: attentionButton } : null;
  const port = insert(board, parent, { ...init, slot });
  if (below === undefined) return;
  const upstream = insert(board, port.bus, { kind: 'upstream', devfn: 0, name: `${init.name} (switch)`, slot: null });
  below.forEach((one, index) => {
    const name = one.name ?? `${init.name}.${index}`;
    addPort(board, upstream.bus, { kind: 'downstream', devfn: index << 3, name }, one, numbers);
  });
}

/** The number on the slot; the first free one where the description has none. */
function slotNumber(
  { physicalSlot, slot }: PortDescription & { readonly slot?: number },
  numbers: Set<number>,
): number {
  const given = physicalSlot ?? slot;
  if (given !== undefined) return given;
  let number = 1;
  while (numbers.has(number)) number++;
  numbers.add(number);
  return number;
}

function insert(board: Board, parent: BoardBus, init: PortInit): Port {
  if (board.ports.some(({ name }) => name === init.name))
    throw new RangeError(`port ${init.name} is there twice; allowed: each name once`);
  requireEmpty(parent, init.devfn, `slot ${init.devfn >>> 3} function ${init.devfn & 7}`);
  const port = new Port(board, parent, init);
  board.ports.push(port);
  parent.insert(port.devfn, port);
  return port;
}

/** Throws RangeError when something stands in the place that `name` says. */
export function requireEmpty(bus: BoardBus, devfn: number, name: string): void {
  if (bus.slots[devfn] !== null) throw new RangeError(`${name} is taken; allowed: an empty one`);
}
