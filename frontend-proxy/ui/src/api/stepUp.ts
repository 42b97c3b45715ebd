/** Where a refusal that asks for proof waits for it, so that no page has to know which of its calls are refused so. */
import type { ApiProblem } from "./problem";

/** Whether the person showed that it is them. */
type Asker = (problem: ApiProblem) => Promise<boolean>;

let asker: Asker | null = null;
let asking: Promise<boolean> | null = null;

/** From now on this one asks. Answers how to end it. */
export function answerStepUps(next: Asker): () => void {
  asker = next;
  return () => {
    if (asker === next) asker = null;
  };
}

/** Calls that are refused at the same time ask once. Where nobody can be asked, the refusal stands. */
export function stepUp(problem: ApiProblem): Promise<boolean> {
  if (asker === null) return Promise.resolve(false);
  asking ??= asker(problem).finally(() => {
    asking = null;
  });
  return asking;
}
