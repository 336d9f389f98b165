/** Input that cannot be used, told in one sentence. */

/** Its message is the sentence for the user: the field, the value and what is allowed. */
export class BadInput extends Error {}

/** The sentence of every refusal. */
export function refusal(field: string, value: unknown, allowed: string): BadInput {
  return new BadInput(`${field} is ${JSON.stringify(value)}; allowed: ${allowed}.`);
}
