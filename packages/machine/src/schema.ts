/** The part of JSON Schema that machine descriptions use, and a check whose refusals are one clear sentence. */

/** A schema node; keywords as in JSON Schema 2020-12. */
export interface JsonSchema {
  readonly $schema?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly enum?: readonly (string | number)[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
  /** Characters of a string. */
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
}

/** Throws a RangeError that names the field, the value and what is allowed; `undefined` counts as absent. */
export function validate(schema: JsonSchema, value: unknown, path: string): void {
  if (schema.enum !== undefined) {
    if (!schema.enum.includes(value as string))
      refuse(path, value, schema.enum.map((one) => JSON.stringify(one)).join(', '));
    return;
  }
  switch (schema.type) {
    case 'integer':
      checkInteger(schema, value, path);
      return;
    case 'number':
      checkNumber(schema, value, path);
      return;
    case 'array':
      checkArray(schema, value, path);
      return;
    case 'object':
      checkObject(schema, value, path);
      return;
    case 'string':
      checkString(schema, value, path);
      return;
    default:
      if (typeof value !== schema.type) refuse(path, value, `a ${schema.type}`);
  }
}

function checkInteger(schema: JsonSchema, value: unknown, path: string): void {
  const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = schema;
  const fits = typeof value === 'number' && value % 1 === 0 && value >= minimum && value <= maximum;
  if (!fits) refuse(path, value, `a whole number from ${minimum} to ${maximum}`);
}

function checkNumber(schema: JsonSchema, value: unknown, path: string): void {
  const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = schema;
  if (typeof value === 'number' && value >= minimum && value <= maximum) return;
  refuse(path, value, `a number from ${minimum} to ${maximum}`);
}

function checkString(schema: JsonSchema, value: unknown, path: string): void {
  if (typeof value !== 'string') refuse(path, value, 'a string');
  const { minLength = 0, maxLength = Number.MAX_SAFE_INTEGER } = schema;
  if (value.length >= minLength && value.length <= maxLength) return;
  refuse(path, value, `${minLength} to ${maxLength} characters`);
}

function checkArray(schema: JsonSchema, value: unknown, path: string): void {
  if (!Array.isArray(value)) refuse(path, value, 'a list');
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    refuse(`${path}.length`, value.length, `at most ${schema.maxItems}`);
  }
  value.forEach((item, index) => {
    validate(schema.items as JsonSchema, item, `${path}[${index}]`);
  });
}

function checkObject(schema: JsonSchema, value: unknown, path: string): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(path, value, 'an object');
  const properties = schema.properties ?? {};
  for (const [name, one] of Object.entries(value)) {
    const known = properties[name];
    if (known === undefined && schema.additionalProperties === true) continue;
    if (known === undefined) {
      throw new RangeError(`${path}.${name} is not known; allowed are ${Object.keys(properties).join(', ')}`);
    }
    if (one !== undefined) validate(known, one, `${path}.${name}`);
  }
  for (const name of schema.required ?? []) {
    if ((value as Record<string, unknown>)[name] === undefined) {
      throw new RangeError(`${path}.${name} is missing; ${describe(properties[name] as JsonSchema)}`);
    }
  }
}

function describe(schema: JsonSchema): string {
  return schema.enum === undefined ? `it must be a ${schema.type}` : `allowed are ${schema.enum.join(', ')}`;
}

function refuse(path: string, value: unknown, allowed: string): never {
  throw new RangeError(`${path} is ${JSON.stringify(value)}; allowed: ${allowed}`);
}
