import { useMutation } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { post } from "../api/http";
import { Button } from "../kit/Button";
import { TextField } from "../kit/Fields";
import { ProblemNote } from "../kit/ProblemNote";
import { Card, useToken } from "./Card";

/** With the link of a mail a new password is chosen; without one, the mail is asked for. */
export function ResetPasswordPage() {
  const token = useToken();
  return token === null ? <Ask /> : <Choose key={token} token={token} />;
}

function Ask() {
  const [email, setEmail] = useState("");
  const ask = useMutation({ mutationFn: () => post("/auth/password/forgot", { email: email.trim() }) });
  if (ask.isSuccess) {
    return <Card title="Look at your mail" lead="If somebody has an account with this address, a mail says how to go on. Its link works for 30 minutes." />;
  }

  function submit(event: SyntheticEvent): void {
    event.preventDefault();
    ask.mutate();
  }

  return (
    <Card title="Forgot your password?" lead="A link to choose another one comes by mail.">
      <form className="form" onSubmit={submit}>
        <TextField label="Email" autoComplete="username" required maxLength={320} value={email} onChange={setEmail} />
        {ask.error && <ProblemNote error={ask.error} />}
        <Button type="submit" look="primary" size="large" isDisabled={email.trim() === ""} isPending={ask.isPending}>
          Send me a link
        </Button>
      </form>
    </Card>
  );
}

function Choose({ token }: { token: string }) {
  const [password, setPassword] = useState("");
  const reset = useMutation({ mutationFn: () => post("/auth/password/reset", { token, new: password }) });
  if (reset.isSuccess) {
    return <Card title="Your password is changed" lead="Every session ended, and your second factors are as they were. Sign in with the new password." />;
  }

  function submit(event: SyntheticEvent): void {
    event.preventDefault();
    reset.mutate();
  }

  return (
    <Card title="Choose a new password" lead="Every session of yours ends with it. Several unrelated words are a good one.">
      <form className="form" onSubmit={submit}>
        <TextField
          label="New password"
          type="password"
          autoComplete="new-password"
          required
          maxLength={1024}
          value={password}
          onChange={setPassword}
        />
        {reset.error && <ProblemNote error={reset.error} />}
        <Button type="submit" look="primary" size="large" isDisabled={password === ""} isPending={reset.isPending}>
          Change my password
        </Button>
      </form>
    </Card>
  );
}
