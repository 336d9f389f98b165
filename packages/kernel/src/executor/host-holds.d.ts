/**
 * Waiting for the host: virtual time stands still while something is held, and what the host settles goes on in the
 * order in which it was asked for, so that the host's timing never shows.
 */
import type { Executor, Item } from '../ports.js';
export declare class HostHolds {
    private readonly queue;
    private readonly ex;
    constructor(ex: Executor & {
        hostSettled: () => void;
    });
    get outstanding(): boolean;
    /** Lets the oldest settled hold go on; false when the host is still to answer. */
    release(): boolean;
    /** Holds until `promise` settles, then calls `go`; returns what gives its outcome. */
    wait<T>(promise: Promise<T>, go: () => void): () => T;
    /** Holds until the returned function is called; then the item becomes ready. */
    hold(item: Item): () => void;
    private add;
}
//# sourceMappingURL=host-holds.d.ts.map