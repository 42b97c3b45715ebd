import { useClock } from "./clock";
import { exact, expiryTone, left, relative, type Lifetime } from "./time";

/** "12 s ago", ticking, with the exact time on hover. */
export function Ago({ at }: { at: string }) {
  const words = useClock((now) => relative(at, now));
  return (
    <time className="figures nowrap" dateTime={at} title={exact(at)}>
      {words}
    </time>
  );
}

interface LeftProps {
  kind: Lifetime;
  expires: string;
  created?: string;
}

/** How long something still lives: amber first, then red, and always in words. */
export function Left({ kind, expires, created }: LeftProps) {
  const words = useClock((now) => left(expires, now));
  const tone = useClock((now) => expiryTone(kind, expires, now, created));
  return (
    <time className={`figures nowrap tone-${tone}`} dateTime={expires} title={exact(expires)}>
      {words}
    </time>
  );
}
