import { useMutation } from "@tanstack/react-query";
import { KeyRound } from "lucide-react";
import { useEffect, useRef, useState, type ReactNode, type SyntheticEvent } from "react";

import type { Proof, Way } from "../api/types";
import { passkeysPossible } from "../api/webauthn";
import { Button } from "../kit/Button";
import { TextField } from "../kit/Fields";
import { Note, ProblemNote } from "../kit/ProblemNote";
import { proofOf } from "./queries";
import { Refusal } from "./Refusal";
import { instead, offered, refusal, tidied } from "./words";
import "./factors.css";

interface Props {
  ways: readonly Way[];
  /** What the button does with it: "Sign in". */
  verb: string;
  show: (proof: Proof) => Promise<unknown>;
  children?: ReactNode;
}

/** Asks for one of the ways in which somebody can show that it is them, and lets them choose another. */
export function ProofForm({ ways, verb, show, children }: Props) {
  const possible = offered(ways, passkeysPossible());
  const [way, setWay] = useState<Way | undefined>(possible[0]);
  const [typed, setTyped] = useState("");
  const proving = useMutation({ mutationFn: async (chosen: Way) => show(await proofOf(chosen, tidied(chosen, typed))), gcTime: 0 });
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    // The keyboard goes on where there is something to do; the other ways have a field that takes it.
    if (way === "passkey") form.current?.querySelector<HTMLButtonElement>("button[type=submit]")?.focus();
  }, [way]);
  if (way === undefined) return <NoWay>{children}</NoWay>;
  const beside = proving.error && refusal(proving.error, way, 0) !== null ? <Refusal error={proving.error} way={way} /> : null;

  function choose(next: Way): void {
    setWay(next);
    setTyped("");
    proving.reset();
  }

  function submit(event: SyntheticEvent): void {
    event.preventDefault();
    if (way !== undefined) proving.mutate(way);
  }

  return (
    <form className="form" ref={form} onSubmit={submit}>
      {way === "passkey" ? (
        <PasskeyWords error={beside} />
      ) : (
        <TextField key={way} {...fields[way]} required first value={typed} error={beside} onChange={setTyped} />
      )}
      {proving.error && beside === null && <ProblemNote error={proving.error} />}
      <div className="proof-actions">
        <Button
          type="submit"
          look="primary"
          icon={way === "passkey" && <KeyRound className="icon" aria-hidden />}
          isDisabled={way !== "passkey" && typed.trim() === ""}
          isPending={proving.isPending}
        >
          {way === "passkey" ? "Use a passkey" : verb}
        </Button>
        {children}
      </div>
      {possible.length > 1 && (
        <ul className="proof-others">
          {possible
            .filter((other) => other !== way)
            .map((other) => (
              <li key={other}>
                <Button look="quiet" size="small" isDisabled={proving.isPending} onPress={() => choose(other)}>
                  {instead[other]}
                </Button>
              </li>
            ))}
        </ul>
      )}
    </form>
  );
}

const fields = {
  totp: {
    label: "Code",
    hint: "The six digits that your authenticator app shows now.",
    autoComplete: "one-time-code",
    inputMode: "numeric",
    maxLength: 16,
    mono: true,
  },
  password: { label: "Password", type: "password", autoComplete: "current-password", maxLength: 1024 },
  recovery_code: { label: "Recovery code", hint: "One of the ten that you kept. It is used up.", maxLength: 64, mono: true },
} as const;

function PasskeyWords({ error }: { error: ReactNode }) {
  return (
    <div className="field">
      <p className="muted">Your browser asks for your finger, face or PIN, or for a security key.</p>
      {error !== null && (
        <div className="field-error" role="alert">
          {error}
        </div>
      )}
    </div>
  );
}

function NoWay({ children }: { children: ReactNode }) {
  return (
    <>
      <Note tone="amber">
        Only a passkey can be shown here, and this browser offers none at this address. Use another browser, or ask an administrator.
      </Note>
      <div className="proof-actions">{children}</div>
    </>
  );
}
