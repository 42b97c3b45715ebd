import { Link } from "react-router";

import { ProviderMark } from "../kit/ProviderMark";
import { useConnections } from "./queries";
import { stateWords } from "./states";

const shown = 5;

/** In the header of every page: coloured where agents can act, hollow where the person is needed. */
export function ProviderBadges() {
  const { data } = useConnections();
  const live = (data?.items ?? []).filter(({ state }) => state !== "revoked");
  if (live.length === 0) return null;
  return (
    <nav className="badges" aria-label="Connected accounts">
      {live.slice(0, shown).map(({ id, provider, title, icon, account, state }) => {
        const words = `${title} (${account}): ${stateWords(state).word}`;
        return (
          <Link
            key={id}
            to={`/connections/${id}`}
            className={state === "needs_reconnect" ? "badge hollow" : "badge"}
            data-provider={provider}
            aria-label={words}
            title={words}
          >
            <ProviderMark icon={icon} title={title} />
          </Link>
        );
      })}
      {live.length > shown && (
        <Link to="/connections" className="badges-more" aria-label={`${live.length - shown} more connections`}>
          +{live.length - shown}
        </Link>
      )}
    </nav>
  );
}
