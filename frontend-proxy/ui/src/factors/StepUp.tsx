import { lazy, Suspense, useEffect, useState } from "react";

import type { ApiProblem } from "../api/problem";
import { answerStepUps } from "../api/stepUp";

const StepUpDialog = lazy(() => import("./StepUpDialog").then((file) => ({ default: file.StepUpDialog })));

interface Asked {
  problem: ApiProblem;
  answer: (shown: boolean) => void;
}

/** The one place where any call that was refused for want of proof is asked about, and goes on or stays refused. */
export function StepUp() {
  const [asked, setAsked] = useState<Asked | null>(null);
  useEffect(() => {
    let leave: (() => void) | null = null;
    const end = answerStepUps(
      (problem) =>
        new Promise((resolve) => {
          leave = () => resolve(false);
          setAsked({ problem, answer: resolve });
        }),
    );
    return () => {
      end();
      leave?.();
    };
  }, []);
  if (asked === null) return null;
  return (
    <Suspense fallback={null}>
      <StepUpDialog
        problem={asked.problem}
        onEnd={(shown) => {
          asked.answer(shown);
          setAsked(null);
        }}
      />
    </Suspense>
  );
}
