import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";
import { useLocation, useNavigate } from "react-router";

import { post } from "../api/http";
import { keys } from "../api/keys";
import { Button } from "../kit/Button";
import { TextField } from "../kit/Fields";
import { Note, ProblemNote } from "../kit/ProblemNote";
import { Card, useToken } from "./Card";

type Shown = { token: string } | { email: string; code: string };

/** Opening the link changes nothing, because mail scanners open links too: the button does it. */
export function VerifyEmailPage() {
  const token = useToken();
  return <VerifyEmail key={token} token={token} />;
}

function VerifyEmail({ token }: { token: string | null }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const confirm = useMutation({
    mutationFn: (shown: Shown) => post("/auth/email/verify", shown),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: keys.me });
      void navigate("/", { replace: true });
    },
  });
  const problem = confirm.error && <ProblemNote error={confirm.error} />;
  if (token !== null && !confirm.isError) {
    return (
      <Card title="Confirm your address" lead="This address is yours: then you can sign in with it.">
        <Button look="primary" size="large" isPending={confirm.isPending} onPress={() => confirm.mutate({ token })}>
          Confirm my address
        </Button>
      </Card>
    );
  }
  return (
    <Card title="Confirm your address" lead="A mail with a link and a code was sent. Type the code here, or open the link.">
      <CodeForm problem={problem} isPending={confirm.isPending} onSubmit={confirm.mutate} />
    </Card>
  );
}

interface CodeFormProps {
  problem: React.ReactNode;
  isPending: boolean;
  onSubmit: (shown: Shown) => void;
}

function CodeForm({ problem, isPending, onSubmit }: CodeFormProps) {
  const known = (useLocation().state as { email?: string } | null)?.email;
  const [email, setEmail] = useState(known ?? "");
  const [code, setCode] = useState("");
  const again = useMutation({ mutationFn: () => post("/auth/email/verify/resend", { email: email.trim() }) });

  function submit(event: SyntheticEvent): void {
    event.preventDefault();
    onSubmit({ email: email.trim(), code: code.trim() });
  }

  return (
    <form className="form" onSubmit={submit}>
      <TextField label="Email" autoComplete="username" required maxLength={320} value={email} onChange={setEmail} />
      <TextField label="Code" autoComplete="one-time-code" mono required maxLength={20} value={code} onChange={setCode} />
      {problem}
      {again.error && <ProblemNote error={again.error} />}
      {again.isSuccess && <Note tone="plain">If this address waits to be confirmed, a new mail is on its way. The older one works no more.</Note>}
      <Button type="submit" look="primary" size="large" isDisabled={email.trim() === "" || code.trim() === ""} isPending={isPending}>
        Confirm my address
      </Button>
      <Button look="quiet" isDisabled={email.trim() === ""} isPending={again.isPending} onPress={() => again.mutate()}>
        Send the mail again
      </Button>
    </form>
  );
}
