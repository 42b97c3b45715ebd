import { ApiProblem } from "../api/problem";
import type { Way } from "../api/types";
import { useClock } from "../kit/clock";
import { refusal } from "./words";

/** Why a factor was not taken, told beside its field; a lock counts down. */
export function Refusal({ error, way }: { error: Error; way: Way }) {
  const words = useClock((now) => refusal(error, way, now) ?? "");
  return (
    <>
      {words}
      {error instanceof ApiProblem && <code>{error.code}</code>}
    </>
  );
}
