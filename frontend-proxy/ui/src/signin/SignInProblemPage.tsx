import { TriangleAlert } from "lucide-react";
import { Link, useNavigate, useSearchParams } from "react-router";

import { address } from "../api/http";
import { useMe, useProviders } from "../api/me";
import { Button } from "../kit/Button";
import { Wordmark } from "../kit/Wordmark";
import { localPath } from "../kit/words";
import { providerTitle } from "./providerTitle";
import { tripWords } from "./words";
import "../kit/shell.css";
import "./signin.css";

/** After these, asking the same provider again would end the same way. */
const another = new Set(["link_required", "user_disabled", "session_mismatch"]);

export function SignInProblemPage() {
  const [search] = useSearchParams();
  const navigate = useNavigate();
  const providers = useProviders();
  const code = search.get("code") ?? "unknown";
  const name = search.get("provider");
  const returnTo = localPath(search.get("return_to"));
  // Somebody who is signed in was linking another way in, and would be switched to it by a plain sign-in.
  const linking = useMe().isSuccess;
  const known = providers.data?.items.find((provider) => provider.name === name && provider.sign_in);
  const words = tripWords(code, providerTitle(name, providers.data?.items), "sign-in");
  const signIn = `/sign-in?${new URLSearchParams({ return_to: returnTo }).toString()}`;

  function again(): void {
    if (!known || another.has(code)) void navigate(linking ? returnTo : signIn);
    else window.location.assign(address(`/auth/${known.name}/start`, { return_to: returnTo, link: linking ? 1 : null }));
  }

  return (
    <main className="signin">
      <title>{`${words.title} · Keybearer`}</title>
      <div className="signin-card">
        <Wordmark />
        <div className="signin-words">
          <span className="signin-glyph">
            <TriangleAlert className="icon" aria-hidden />
          </span>
          <h1>{words.title}</h1>
          <p>{words.happened}</p>
          <p>
            <strong>{words.lost}</strong> {words.next}
          </p>
        </div>
        <div className="signin-ways">
          <Button look="primary" size="large" onPress={again}>
            Try again
          </Button>
          <Link className="button quiet" to={linking ? returnTo : signIn}>
            {linking ? "Back to where you were" : "Other ways to sign in"}
          </Link>
        </div>
        <p className="fine faint">
          <code>{code}</code>
        </p>
      </div>
    </main>
  );
}
