import { RectangleEllipsis } from "lucide-react";
import { useState, type SyntheticEvent } from "react";
import { useNavigate } from "react-router";

import { useMe } from "../api/me";
import { hasCode } from "../api/problem";
import { Button } from "../kit/Button";
import { Drawer } from "../kit/Drawer";
import { TextField } from "../kit/Fields";
import { ProblemNote } from "../kit/ProblemNote";
import { useChangePassword } from "./queries";
import { Refusal } from "./Refusal";

export function PasswordDrawer() {
  const navigate = useNavigate();
  const change = useChangePassword();
  const email = useMe().data?.email ?? "";
  const [current, setCurrent] = useState("");
  const [replacement, setReplacement] = useState("");
  const close = () => void navigate("/account");
  const { error } = change;
  const wrong = hasCode(error, "password_wrong");
  const refused = hasCode(error, "password_refused");
  const locked = hasCode(error, "account_locked") ? error : null;

  function submit(event: SyntheticEvent): void {
    event.preventDefault();
    change.mutate({ current, new: replacement });
  }

  if (change.isSuccess) {
    return (
      <Drawer title="Change password" mark={<RectangleEllipsis className="icon" aria-hidden />} onClose={close}>
        <div className="form" role="status">
          <p>
            <strong>Your password is changed.</strong> Your other sessions have ended; this one goes on.
          </p>
          <div className="proof-actions">
            <Button look="primary" onPress={close}>
              Done
            </Button>
          </div>
        </div>
      </Drawer>
    );
  }
  return (
    <Drawer title="Change password" mark={<RectangleEllipsis className="icon" aria-hidden />} onClose={close}>
      <form className="form" onSubmit={submit}>
        {/* For password managers, which want to know whose it is. */}
        <input className="visually-hidden" type="text" autoComplete="username" value={email} readOnly tabIndex={-1} aria-hidden />
        <TextField
          label="Current password"
          type="password"
          autoComplete="current-password"
          required
          first
          maxLength={1024}
          value={current}
          error={wrong ? <>That is not your password. Nothing was changed. <code>{error.code}</code></> : locked && <Refusal error={locked} way="password" />}
          onChange={setCurrent}
        />
        <TextField
          label="New password"
          hint="Four unrelated words are good, and easy to keep in mind. Your other sessions end."
          type="password"
          autoComplete="new-password"
          required
          maxLength={1024}
          value={replacement}
          error={refused ? <>{error.message} <code>{error.code}</code></> : null}
          onChange={setReplacement}
        />
        {error && !wrong && !refused && !locked && <ProblemNote error={error} />}
        <div className="proof-actions">
          <Button type="submit" look="primary" isDisabled={current === "" || replacement === ""} isPending={change.isPending}>
            Change password
          </Button>
        </div>
      </form>
    </Drawer>
  );
}
