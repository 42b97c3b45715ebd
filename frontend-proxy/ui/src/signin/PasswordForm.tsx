import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { post } from "../api/http";
import { keys } from "../api/keys";
import { ApiProblem } from "../api/problem";
import { Button } from "../kit/Button";
import { TextField } from "../kit/Fields";
import { ProblemNote } from "../kit/ProblemNote";

interface Credentials {
  email: string;
  password: string;
  new_password?: string;
}

/** Nothing of it is kept: the answer is a cookie that no script can read. */
export function PasswordForm() {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [replacement, setReplacement] = useState("");
  const client = useQueryClient();
  const signIn = useMutation({
    mutationFn: (credentials: Credentials) => post("/auth/login", credentials),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.me }),
  });
  const expired = signIn.error instanceof ApiProblem && signIn.error.code === "password_expired";
  const asksForNew = expired || replacement !== "";

  function submit(event: SyntheticEvent): void {
    event.preventDefault();
    signIn.mutate({ email: email.trim(), password, ...(replacement === "" ? {} : { new_password: replacement }) });
  }

  return (
    <form className="form" onSubmit={submit}>
      <TextField label="Email" autoComplete="username" required maxLength={320} value={email} onChange={setEmail} />
      <TextField
        label="Password"
        type="password"
        autoComplete="current-password"
        required
        maxLength={1024}
        value={password}
        onChange={setPassword}
      />
      {asksForNew && (
        <TextField
          label="New password"
          hint="The old one is past its age here."
          type="password"
          autoComplete="new-password"
          required
          maxLength={1024}
          value={replacement}
          onChange={setReplacement}
        />
      )}
      {signIn.error && <ProblemNote error={signIn.error} />}
      <Button type="submit" look="primary" size="large" isDisabled={email.trim() === "" || password === ""} isPending={signIn.isPending}>
        Sign in
      </Button>
    </form>
  );
}
