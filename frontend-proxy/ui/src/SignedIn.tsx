import { LoaderCircle } from "lucide-react";
import { Navigate, Outlet, useLocation } from "react-router";

import { useLiveEvents } from "./api/events";
import { useMe } from "./api/me";
import { isSignedOut } from "./api/problem";
import type { Me } from "./api/types";
import { ProviderBadges } from "./connections/ProviderBadges";
import { StepUp } from "./factors/StepUp";
import { Bone } from "./kit/Bone";
import { ProblemNote } from "./kit/ProblemNote";
import { PageWaiting, Shell } from "./kit/Shell";
import { ThemeSwitch } from "./kit/ThemeSwitch";
import { AccountMenu } from "./sessions/AccountMenu";

/** The pages of somebody who is signed in. The moment that is over, on any answer or event, it leads to /sign-in. */
export function SignedIn() {
  const me = useMe();
  const { pathname, search } = useLocation();
  if (isSignedOut(me.error)) {
    const query = new URLSearchParams({ return_to: pathname + search });
    return <Navigate to={`/sign-in?${query.toString()}`} replace />;
  }
  if (me.data) return <Live me={me.data} />;
  if (me.error) {
    return (
      <main className="alone">
        <title>No answer · Keybearer</title>
        <ProblemNote error={me.error} onRetry={() => void me.refetch()} />
      </main>
    );
  }
  return <Shell head={<Bone shape="w1" />}><PageWaiting /></Shell>;
}

function Live({ me }: { me: Me }) {
  const link = useLiveEvents();
  return (
    <Shell
      head={
        <>
          <span role="status" className={link === "lost" ? "link-lost" : "visually-hidden"}>
            {link === "lost" && (
              <>
                <LoaderCircle className="icon turning" aria-hidden />
                <span>Reconnecting</span>
              </>
            )}
          </span>
          <ProviderBadges />
          <span className="head-rule" />
          <ThemeSwitch />
          <AccountMenu me={me} />
        </>
      }
    >
      <Outlet />
      <StepUp />
    </Shell>
  );
}
