/** The page's side: runs a scenario in the browser and hands back what must be the same. */
import { createMachine, type MachineDescription } from '@nvme-stack/machine';
import { runScenario, type ScenarioResult } from '../determinism/scenario.js';

/** What the test calls in the page. */
export interface ScenarioPage {
  runScenario(description: MachineDescription): Promise<ScenarioResult>;
}

(globalThis as unknown as { scenarioPage: ScenarioPage }).scenarioPage = {
  runScenario: async (description) => runScenario(await createMachine(description)),
};
