import { Smartphone } from "lucide-react";
import { useState, type SyntheticEvent } from "react";
import { useNavigate } from "react-router";

import type { BegunApp } from "../api/types";
import { Bone } from "../kit/Bone";
import { Button } from "../kit/Button";
import { Drawer } from "../kit/Drawer";
import { TextField } from "../kit/Fields";
import { Note, ProblemNote } from "../kit/ProblemNote";
import { Secret } from "../kit/Secret";
import { Loaded } from "../kit/Waiting";
import { CodesShown } from "./CodesShown";
import { useBegunApp, useConfirmApp, useFactors } from "./queries";
import { Refusal } from "./Refusal";
import { refusal, tidied } from "./words";

/** The seed is in this component alone, and is gone when the drawer closes. */
export function AppDrawer() {
  const navigate = useNavigate();
  const begun = useBegunApp();
  const confirm = useConfirmApp();
  const replaces = useFactors().data?.items.some(({ kind }) => kind === "totp") ?? false;
  const close = () => void navigate("/account");
  if (confirm.data) {
    return <CodesShown codes={confirm.data.recovery_codes} after="Your authenticator app is set up." onClose={close} />;
  }
  return (
    <Drawer title="Add an authenticator app" mark={<Smartphone className="icon" aria-hidden />} onClose={close}>
      {replaces && <Note tone="plain">It takes the place of the app that you have now. That one works until you finish here.</Note>}
      <Loaded query={begun} waiting={<Waiting />}>
        {(app) => <Steps app={app} confirm={confirm} />}
      </Loaded>
    </Drawer>
  );
}

function Steps({ app, confirm }: { app: BegunApp; confirm: ReturnType<typeof useConfirmApp> }) {
  const [code, setCode] = useState("");
  const { error } = confirm;
  const beside = error && refusal(error, "totp", 0) !== null ? <Refusal error={error} way="totp" /> : null;
  function submit(event: SyntheticEvent): void {
    event.preventDefault();
    confirm.mutate({ id: app.id, code: tidied("totp", code) });
  }
  return (
    <ol className="steps">
      <li>
        <h3>1. Scan this with the app</h3>
        <p className="muted small">Any app for one-time codes will do: 1Password, Google Authenticator, Aegis, or your password manager.</p>
        <img className="qr" src={picture(app.qr_svg)} alt="QR code of the key below" />
        <p className="muted small">
          The app is on this device? <a href={app.otpauth_url}>Open it there</a>.
        </p>
      </li>
      <li>
        <Secret label="Or type this key" text={app.secret} what="the key" testId="totp-secret" />
      </li>
      <li>
        <h3>2. Type what the app shows</h3>
        <form className="form" onSubmit={submit}>
          <TextField
            label="Code"
            hint="Six digits, new every 30 seconds."
            autoComplete="one-time-code"
            inputMode="numeric"
            required
            mono
            maxLength={16}
            value={code}
            error={beside}
            onChange={setCode}
          />
          {error && beside === null && <ProblemNote error={error} />}
          <div className="proof-actions">
            <Button type="submit" look="primary" isDisabled={code.trim() === ""} isPending={confirm.isPending}>
              Confirm
            </Button>
          </div>
        </form>
      </li>
    </ol>
  );
}

/** As an image it can only be looked at, whatever it is made of. */
function picture(svg: string): string {
  // A picture of its own has to say what it is; inline it need not.
  const whole = svg.includes("xmlns=") ? svg : svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"');
  return `data:image/svg+xml,${encodeURIComponent(whole)}`;
}

function Waiting() {
  return (
    <div className="stack" role="status" aria-label="Loading the QR code">
      <Bone shape="w3" />
      <Bone shape="w4" />
      <span className="bone qr" aria-hidden />
      <Bone shape="tall" />
    </div>
  );
}
