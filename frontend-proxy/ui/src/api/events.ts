/** The live link: one EventSource while somebody is signed in, reopened with patience when it breaks. */
import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { keys } from "./keys";
import { applyEvent, eventNames, readEvent } from "./patches";

export type Link = "connecting" | "open" | "lost";

/** How long a broken link stays unmentioned, in milliseconds: a reload of the server is not news. */
const quiet = 1_500;

export function useLiveEvents(): Link {
  const client = useQueryClient();
  const [link, setLink] = useState<Link>("connecting");
  useEffect(() => follow(client, setLink), [client]);
  return link;
}

export function retryDelay(attempt: number, random: () => number = Math.random): number {
  return Math.min(1_000 * 2 ** attempt, 30_000) * (0.5 + random() / 2);
}

function follow(client: QueryClient, report: (link: Link) => void): () => void {
  let source: EventSource | null = null;
  let attempt = 0;
  let broken = false;
  let retry: number | undefined;
  let mention: number | undefined;

  function open(): void {
    source = new EventSource("/api/events");
    source.onopen = opened;
    source.onerror = failed;
    for (const name of eventNames) {
      source.addEventListener(name, (message: MessageEvent<string>) => {
        const event = readEvent(name, message.data);
        if (event) applyEvent(client, event);
      });
    }
  }

  function opened(): void {
    window.clearTimeout(mention);
    mention = undefined;
    attempt = 0;
    report("open");
    // Whatever happened while nobody listened is in the answers, not in the stream.
    if (broken) void client.invalidateQueries();
    broken = false;
  }

  function failed(): void {
    broken = true;
    mention ??= window.setTimeout(() => report("lost"), quiet);
    // The browser tries again by itself unless the answer was a refusal.
    if (source?.readyState !== EventSource.CLOSED) return;
    source.close();
    void client.invalidateQueries({ queryKey: keys.me });
    retry = window.setTimeout(open, retryDelay(attempt++));
  }

  open();
  return () => {
    window.clearTimeout(retry);
    window.clearTimeout(mention);
    source?.close();
  };
}
