import { useLocation, useNavigate, useSearchParams } from "react-router";

import { useProviders } from "../api/me";
import { Button } from "../kit/Button";
import { Note } from "../kit/ProblemNote";
import { providerTitle } from "../signin/providerTitle";
import { tripWords } from "../signin/words";

/** What came back from a provider instead of a connection. */
export function TripBanner() {
  const [search] = useSearchParams();
  const { pathname } = useLocation();
  const navigate = useNavigate();
  const providers = useProviders().data?.items;
  const code = search.get("problem");
  if (code === null) return null;
  const name = search.get("provider");
  const title = providerTitle(name, providers);
  const words = tripWords(code, title, "connect");
  const again = pathname === "/connections" && providers?.some((item) => item.name === name && item.connect && item.configured);
  return (
    <Note
      tone="amber"
      action={
        <span className="note-actions">
          {again && name !== null && (
            <Button size="small" onPress={() => void navigate(`/connections/connect/${encodeURIComponent(name)}`)}>
              Try again
            </Button>
          )}
          <Button size="small" look="quiet" onPress={() => void navigate(pathname, { replace: true })}>
            Dismiss
          </Button>
        </span>
      }
    >
      <p>
        <strong>{words.title}.</strong> {words.happened} {words.lost} {words.next}
      </p>
      <p className="note-code">
        <code>{code}</code>
      </p>
    </Note>
  );
}
