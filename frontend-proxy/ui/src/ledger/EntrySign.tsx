import { Ban, Cable, Fingerprint, KeyRound, RefreshCw, TriangleAlert } from "lucide-react";

import { useProviders } from "../api/me";
import type { LedgerEntry } from "../api/types";
import { ProviderMark } from "../kit/ProviderMark";
import { providerTitle } from "../signin/providerTitle";

/** The provider where one was acted on, and the kind of act where it was about Keybearer itself. */
export function EntrySign({ entry }: { entry: LedgerEntry }) {
  const providers = useProviders().data?.items;
  const wrong = entry.outcome === "failed" || entry.outcome === "denied" || entry.outcome === "unknown";
  return (
    <span className={wrong ? "entry-sign wrong" : "entry-sign"}>
      {entry.provider !== null && (entry.action.startsWith("proxy.") || entry.action.startsWith("connection.")) ? (
        <ProviderMark
          icon={providers?.find(({ name }) => name === entry.provider)?.icon ?? entry.provider}
          title={providerTitle(entry.provider, providers)}
        />
      ) : (
        <ActionIcon entry={entry} />
      )}
    </span>
  );
}

function ActionIcon({ entry }: { entry: LedgerEntry }) {
  const { action, outcome } = entry;
  if (outcome === "denied") return <Ban className="icon" aria-hidden />;
  if (outcome === "failed") return <TriangleAlert className="icon" aria-hidden />;
  if (action.startsWith("grant.")) return <KeyRound className="icon" aria-hidden />;
  if (action.startsWith("connection.")) return <Cable className="icon" aria-hidden />;
  if (action.includes("refresh")) return <RefreshCw className="icon" aria-hidden />;
  return <Fingerprint className="icon" aria-hidden />;
}
