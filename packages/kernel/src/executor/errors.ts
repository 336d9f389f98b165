/** Errors the executor itself raises; both are branded so that two copies of this package agree. */
import type { Task } from '../ports.js';

const BUG = Symbol.for('@nvme-stack/BugError');
const DEADLOCK = Symbol.for('@nvme-stack/DeadlockError');

/** A defect of ours: the machine it happened in is halted. @kernel include/asm-generic/bug.h BUG */
export class BugError extends Error {
  readonly [BUG] = true;

  constructor(message: string) {
    super(message);
    this.name = 'BugError';
  }

  static is(error: unknown): error is BugError {
    return typeof error === 'object' && error !== null && (error as { [BUG]?: boolean })[BUG] === true;
  }
}

/** Nothing is ready, no timer is armed, and calls are outstanding. Names each parked task and what it waits for. */
export class DeadlockError extends Error {
  readonly [DEADLOCK] = true;

  constructor(call: string, parked: readonly Task[]) {
    const waits = parked.map((task) => `${task.name}-${task.pid} waits for ${task.waitsFor}`);
    super(`deadlock: ${call} cannot return; ${waits.length === 0 ? 'no task is parked' : waits.join('; ')}`);
    this.name = 'DeadlockError';
  }

  static is(error: unknown): error is DeadlockError {
    return typeof error === 'object' && error !== null && (error as { [DEADLOCK]?: boolean })[DEADLOCK] === true;
  }
}

/** What a report says of something that was thrown. */
export function describeError(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}\n${error.stack ?? ''}` : String(error);
}
