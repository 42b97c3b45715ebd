import { KeyRound } from "lucide-react";
import { Navigate, useSearchParams } from "react-router";

import { address } from "../api/http";
import { useMe, useProviders } from "../api/me";
import { passkeysPossible } from "../api/webauthn";
import { Bone } from "../kit/Bone";
import { Button } from "../kit/Button";
import { ProviderMark } from "../kit/ProviderMark";
import { ThemeSwitch } from "../kit/ThemeSwitch";
import { Loaded } from "../kit/Waiting";
import { Wordmark } from "../kit/Wordmark";
import { localPath } from "../kit/words";
import { PasskeyButton } from "./PasskeyButton";
import { PasswordForm } from "./PasswordForm";
import { SecondStep } from "./SecondStep";
import { usePasswordSignIn, type PasswordSignIn } from "./usePasswordSignIn";
import "../kit/shell.css";
import "./signin.css";

export function SignInPage() {
  const [search] = useSearchParams();
  const returnTo = localPath(search.get("return_to"));
  const me = useMe();
  const signIn = usePasswordSignIn();
  if (me.isSuccess) return <Navigate to={returnTo} replace />;
  return (
    <main className="signin">
      <title>Sign in · Keybearer</title>
      <div className="signin-card">
        <Wordmark />
        {signIn.ways === null ? <FirstStep signIn={signIn} returnTo={returnTo} /> : <SecondStep signIn={signIn} ways={signIn.ways} />}
      </div>
      <div className="signin-theme">
        <ThemeSwitch />
      </div>
    </main>
  );
}

function FirstStep({ signIn, returnTo }: { signIn: PasswordSignIn; returnTo: string }) {
  const providers = useProviders();
  return (
    <>
      <div className="signin-words">
        <h1>Sign in</h1>
        <p className="lead">Your agents act for you. They never hold your keys.</p>
      </div>
      <Loaded query={providers} waiting={<ButtonsWaiting />}>
        {({ items }) => {
          const offered = items.filter((provider) => provider.sign_in && provider.configured);
          if (offered.length === 0) return null;
          return (
            <ul className="signin-ways">
              {offered.map(({ name, title, icon }) => (
                <li key={name}>
                  <Button
                    size="large"
                    icon={<ProviderMark icon={icon} title={title} />}
                    onPress={() => window.location.assign(address(`/auth/${name}/start`, { return_to: returnTo }))}
                  >
                    Continue with {title}
                  </Button>
                </li>
              ))}
            </ul>
          );
        }}
      </Loaded>
      <PasswordForm signIn={signIn} />
      {passkeysPossible() && (
        <div className="signin-ways">
          <PasskeyButton />
        </div>
      )}
      <p className="signin-fine">
        <KeyRound className="icon" aria-hidden />
        A provider tells your name and email only. What agents may use, you connect afterwards, one by one.
      </p>
    </>
  );
}

function ButtonsWaiting() {
  return (
    <div className="signin-ways" role="status" aria-label="Loading the ways to sign in">
      <Bone shape="tall" />
      <Bone shape="tall" />
    </div>
  );
}
