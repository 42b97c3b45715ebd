/** One clock for every time on the page. A component renders again only when its own words change. */
import { useSyncExternalStore } from "react";

const listeners = new Set<() => void>();
let timer: number | undefined;

export function useClock<Value extends string | number>(read: (now: number) => Value): Value {
  return useSyncExternalStore(subscribe, () => read(Date.now()));
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= window.setInterval(() => listeners.forEach((tell) => tell()), 1_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    window.clearInterval(timer);
    timer = undefined;
  };
}
