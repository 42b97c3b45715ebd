import { useState } from "react";

import { initials } from "./words";
import "./marks.css";

export function Avatar({ name, url, big = false }: { name: string; url: string | null; big?: boolean }) {
  const [broken, setBroken] = useState(false);
  const picture = url !== null && url.startsWith("https:") && !broken ? url : null;
  return (
    <span className={big ? "avatar big" : "avatar"} data-initials={picture === null ? initials(name) : undefined} aria-hidden>
      {picture !== null && <img src={picture} alt="" referrerPolicy="no-referrer" onError={() => setBroken(true)} />}
    </span>
  );
}
