/** The page's side: runs a session in the browser and hands back what must be the same. */
import { createMachine, type MachineDescription } from '@nvme-stack/machine';
import { runSession, type SessionResult } from '../determinism/session.js';

/** What the test calls in the page. */
export interface SessionPage {
  runSession(description: MachineDescription): Promise<SessionResult>;
}

(globalThis as unknown as { sessionPage: SessionPage }).sessionPage = {
  runSession: async (description) => runSession(await createMachine(description)),
};
