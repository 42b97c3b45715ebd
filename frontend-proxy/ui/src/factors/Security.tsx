import { KeyRound, LifeBuoy, Plus, RectangleEllipsis, ShieldAlert, Smartphone } from "lucide-react";
import type { ReactNode } from "react";
import { useNavigate } from "react-router";

import type { Factor, FactorList } from "../api/types";
import { Button } from "../kit/Button";
import { Confirm } from "../kit/Confirm";
import { State } from "../kit/State";
import { Ago } from "../kit/Times";
import { Loaded, RowsWaiting } from "../kit/Waiting";
import { useFactors, useRemoveFactor } from "./queries";
import { kindWords } from "./words";

/** So few recovery codes are a reason to make new ones. */
const few = 3;

export function Security() {
  const query = useFactors();
  return (
    <section className="section" aria-labelledby="security">
      <h2 id="security">Security</h2>
      <Loaded query={query} waiting={<RowsWaiting what="second factors" rows={2} />}>
        {(factors) => (
          <>
            <ul className="card" aria-label="What shows that it is you">
              {factors.items.length === 0 && (
                <li>
                  <Row icon={<ShieldAlert className="icon" aria-hidden />} title="No second factor yet">
                    With one, a password or a session that somebody stole does not open what matters.
                  </Row>
                </li>
              )}
              {factors.items.map((factor) => (
                <li key={factor.id}>
                  <FactorRow factor={factor} last={factors.items.length === 1} />
                </li>
              ))}
              {factors.items.length > 0 && (
                <li>
                  <CodesRow left={factors.recovery_codes_left} />
                </li>
              )}
              {factors.has_password && (
                <li>
                  <PasswordRow />
                </li>
              )}
            </ul>
            <Add factors={factors} />
          </>
        )}
      </Loaded>
    </section>
  );
}

function FactorRow({ factor: { id, kind, name, created_at: added, last_used_at: used }, last }: { factor: Factor; last: boolean }) {
  const removing = useRemoveFactor();
  const Icon = kind === "totp" ? Smartphone : KeyRound;
  return (
    <Row
      icon={<Icon className="icon" aria-hidden />}
      title={name}
      side={
        <Confirm
          verb={`Remove ${name}`}
          label="Remove"
          size="small"
          question={`Remove ${name}?`}
          pending={removing.isPending}
          error={removing.error}
          onOpen={() => removing.reset()}
          onConfirm={() => removing.mutate(id)}
        >
          <p>
            <strong>{kind === "totp" ? "Codes of this app are" : "This passkey is"} not accepted any more.</strong>
          </p>
          <p className="muted small">
            {last
              ? "It is your only second factor, so your recovery codes go with it, and your password alone signs you in."
              : "Your other factors and your recovery codes stay."}
          </p>
        </Confirm>
      }
    >
      {kindWords(kind) !== name && `${kindWords(kind)} · `}
      added <Ago at={added} /> · {used === null ? "not used yet" : <>last used <Ago at={used} /></>}
    </Row>
  );
}

function CodesRow({ left }: { left: number }) {
  const navigate = useNavigate();
  return (
    <Row
      icon={<LifeBuoy className="icon" aria-hidden />}
      title="Recovery codes"
      side={
        <Button size="small" onPress={() => void navigate("/account/recovery-codes")}>
          Make new ones
        </Button>
      }
    >
      {left > few ? (
        `${left} left, for when the rest is lost`
      ) : (
        <State tone={left === 0 ? "red" : "amber"}>{left === 0 ? "None left" : `Only ${left} left`}</State>
      )}
    </Row>
  );
}

function PasswordRow() {
  const navigate = useNavigate();
  return (
    <Row
      icon={<RectangleEllipsis className="icon" aria-hidden />}
      title="Password"
      side={
        <Button size="small" aria-label="Change password" onPress={() => void navigate("/account/password")}>
          Change
        </Button>
      }
    >
      Changing it ends your other sessions
    </Row>
  );
}

function Add({ factors }: { factors: FactorList }) {
  const navigate = useNavigate();
  const app = factors.items.some(({ kind }) => kind === "totp");
  return (
    <ul className="link-others">
      <li>
        <Button size="small" icon={<Plus className="icon" aria-hidden />} onPress={() => void navigate("/account/authenticator")}>
          {app ? "Replace authenticator app" : "Add authenticator app"}
        </Button>
      </li>
      <li>
        <Button size="small" icon={<Plus className="icon" aria-hidden />} onPress={() => void navigate("/account/passkey")}>
          Add a passkey
        </Button>
      </li>
    </ul>
  );
}

function Row({ icon, title, side, children }: { icon: ReactNode; title: string; side?: ReactNode; children: ReactNode }) {
  return (
    <div className="row">
      <span className="mark boxed">{icon}</span>
      <div className="row-main">
        <div className="row-title">
          <strong>{title}</strong>
        </div>
        <p className="row-sub">{children}</p>
      </div>
      {side !== undefined && <div className="row-side">{side}</div>}
    </div>
  );
}
