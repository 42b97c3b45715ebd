import { useMe } from "../api/me";
import { TripBanner } from "../connections/TripBanner";
import { Security } from "../factors/Security";
import { Avatar } from "../kit/Avatar";
import { Bone } from "../kit/Bone";
import { Button } from "../kit/Button";
import { Opened } from "../kit/Opened";
import { PageHead } from "../kit/PageHead";
import { ProblemNote } from "../kit/ProblemNote";
import { ThemeSwitch } from "../kit/ThemeSwitch";
import { Loaded } from "../kit/Waiting";
import { DeleteAccount } from "./DeleteAccount";
import { Identities } from "./Identities";
import { useSignOut } from "./queries";
import { Sessions } from "./Sessions";
import "./sessions.css";

export function AccountPage() {
  const me = useMe();
  const signOut = useSignOut();
  return (
    <div className="page">
      <PageHead title="Account" lead="Who you are here, how you sign in, and where you are signed in." />
      <TripBanner />
      <Loaded query={me} waiting={<Bone shape="tall" />}>
        {({ name, email, avatar_url: picture, tenant, roles }) => (
          <section className="card profile" aria-label="Profile">
            <Avatar name={name} url={picture} big />
            <div className="row-main">
              <h2>{name}</h2>
              <p className="muted small">
                {email ?? "No email"} · {tenant.name}
                {roles.includes("admin") && " · administrator"}
              </p>
            </div>
            <Button isPending={signOut.isPending} onPress={() => signOut.mutate()}>
              Sign out
            </Button>
          </section>
        )}
      </Loaded>
      {signOut.error && <ProblemNote error={signOut.error} />}
      <Identities />
      <Security />
      <Sessions />
      <section className="section" aria-labelledby="theme-title">
        <h2 id="theme-title">Theme</h2>
        <div className="card setting">
          <p className="small muted">The only thing this page keeps in your browser.</p>
          <ThemeSwitch />
        </div>
      </section>
      <Loaded query={me} waiting={<Bone shape="tall" />}>
        {(data) => <DeleteAccount me={data} />}
      </Loaded>
      <Opened />
    </div>
  );
}
