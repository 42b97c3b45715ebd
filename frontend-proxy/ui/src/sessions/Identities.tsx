import { Plus } from "lucide-react";

import { address } from "../api/http";
import { useProviders } from "../api/me";
import type { Identity } from "../api/types";
import { useFactors } from "../factors/queries";
import { Button } from "../kit/Button";
import { Confirm } from "../kit/Confirm";
import { ProviderMark } from "../kit/ProviderMark";
import { Ago } from "../kit/Times";
import { Loaded, RowsWaiting } from "../kit/Waiting";
import { useIdentities, useUnlink } from "./queries";

export function Identities() {
  const query = useIdentities();
  const password = useFactors().data?.has_password ?? false;
  return (
    <section className="section" aria-labelledby="identities-title">
      <h2 id="identities-title">Ways to sign in</h2>
      <Loaded query={query} waiting={<RowsWaiting what="ways to sign in" rows={1} />}>
        {({ items }) => (
          <>
            <ul className="card">
              {items.length === 0 && (
                <li className="row">
                  <p className="row-sub">No provider yet. You sign in with your password, or with a passkey.</p>
                </li>
              )}
              {items.map((identity) => (
                <li key={identity.id}>
                  <IdentityRow identity={identity} only={items.length === 1 && !password} />
                </li>
              ))}
            </ul>
            <LinkAnother linked={items} />
          </>
        )}
      </Loaded>
    </section>
  );
}

function IdentityRow({ identity: { id, title, icon, email, last_sign_in_at: last }, only }: { identity: Identity; only: boolean }) {
  const unlink = useUnlink();
  return (
    <div className="row">
      <ProviderMark icon={icon} title={title} boxed />
      <div className="row-main">
        <div className="row-title">
          <strong>{title}</strong>
          <span className="muted small">{email ?? "no email"}</span>
        </div>
        <p className="row-sub">
          {last === null ? "not used to sign in yet" : <>signed in <Ago at={last} /></>}
        </p>
      </div>
      <div className="row-side">
        {only ? (
          <span className="small muted">Your only way in</span>
        ) : (
          <Confirm
            verb={`Unlink ${title}`}
            label="Unlink"
            size="small"
            question={`Unlink ${title}?`}
            pending={unlink.isPending}
            error={unlink.error}
            onOpen={() => unlink.reset()}
            onConfirm={() => unlink.mutate(id)}
          >
            <p>
              <strong>{email ?? `This ${title} account`} no longer signs in here.</strong>
            </p>
            <p className="muted small">Connections and agents are not touched. You can link it again.</p>
          </Confirm>
        )}
      </div>
    </div>
  );
}

function LinkAnother({ linked }: { linked: Identity[] }) {
  const providers = useProviders().data?.items ?? [];
  const others = providers.filter(
    ({ name, sign_in, configured }) => sign_in && configured && !linked.some((identity) => identity.provider === name),
  );
  if (others.length === 0) return null;
  return (
    <ul className="link-others">
      {others.map(({ name, title }) => (
        <li key={name}>
          <Button
            size="small"
            icon={<Plus className="icon" aria-hidden />}
            onPress={() => window.location.assign(address(`/auth/${name}/start`, { link: 1, return_to: "/account" }))}
          >
            Link {title}
          </Button>
        </li>
      ))}
    </ul>
  );
}
