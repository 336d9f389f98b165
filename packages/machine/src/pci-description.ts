/** What a description says of the PCI topology beside the controllers: ports, switches, and functions that only stand there. */
import type { JsonSchema } from './schema.js';

/** A port with a hot-plug slot behind it, or with a switch. */
export interface MachinePort {
  /** What `nvme[].port` and `machine.slot()` call it; default: `port5` of the root port in slot 5, `port5.0` of the first port of a switch behind it. */
  readonly name?: string;
  /** Number printed on the slot; default: a root port's `slot`, of others the first number that is free. */
  readonly physicalSlot?: number;
  /** The slot has an attention button, and with it indicators and a power controller; else a card may come and go at any time (default). */
  readonly attentionButton?: boolean;
  /** The ports of a switch that stands behind it; such a port has no slot of its own. */
  readonly switch?: readonly MachinePort[];
}

/** A root port. */
export interface MachineRootPort extends MachinePort {
  /** PCI device number on bus 0. */
  readonly slot: number;
}

/** A function that is enumerated, and does nothing else. */
export interface MachineFunction {
  /** PCI device number on bus 0; or `port`. */
  readonly slot?: number;
  /** In the slot of the port of that name. */
  readonly port?: string;
  readonly vendorId: number;
  readonly deviceId: number;
  readonly revisionId?: number;
  /** 24 bits. */
  readonly classCode: number;
  /** Size of its BAR 0, a power of two; default: it has none. */
  readonly memoryKiB?: number;
}

const PORT_NAME: JsonSchema = { type: 'string', minLength: 1, maxLength: 32, description: 'Name of the port.' };
/** Switches behind switches, as deep as a description may go. */
const SWITCH_DEPTH = 3;
const PORTS_OF_A_SWITCH = 32;

function portProperties(depth: number): Readonly<Record<string, JsonSchema>> {
  return {
    name: PORT_NAME,
    physicalSlot: { type: 'integer', minimum: 1, maximum: 8191, description: 'Number printed on the slot.' },
    attentionButton: { type: 'boolean', description: 'A button, indicators and a power controller.' },
    ...(depth === 0 ? {} : { switch: switchSchema(depth) }),
  };
}

function switchSchema(depth: number): JsonSchema {
  const items: JsonSchema = { type: 'object', additionalProperties: false, properties: portProperties(depth - 1) };
  return { type: 'array', maxItems: PORTS_OF_A_SWITCH, items, description: 'Ports of a switch behind it.' };
}

const SLOT: JsonSchema = { type: 'integer', minimum: 1, maximum: 30, description: 'PCI device number on bus 0.' };

export const rootPortsSchema: JsonSchema = {
  type: 'array',
  maxItems: 28,
  description: 'PCI Express root ports.',
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['slot'],
    properties: { slot: SLOT, ...portProperties(SWITCH_DEPTH) },
  },
};

export const functionsSchema: JsonSchema = {
  type: 'array',
  maxItems: 28,
  description: 'Functions that are enumerated, and do nothing else.',
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['vendorId', 'deviceId', 'classCode'],
    properties: {
      slot: SLOT,
      port: PORT_NAME,
      vendorId: { type: 'integer', minimum: 0, maximum: 0xfffe, description: 'Vendor.' },
      deviceId: { type: 'integer', minimum: 0, maximum: 0xffff, description: 'Device.' },
      revisionId: { type: 'integer', minimum: 0, maximum: 0xff, description: 'Revision.' },
      classCode: { type: 'integer', minimum: 0, maximum: 0xffffff, description: 'Class, 24 bits.' },
      memoryKiB: { enum: [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096], description: 'Size of BAR 0.' },
    },
  },
};

/** Where the controller or function stands, for a schema of either. */
export const portSchema: JsonSchema = PORT_NAME;
