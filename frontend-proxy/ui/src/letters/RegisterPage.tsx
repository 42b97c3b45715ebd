import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";
import { useNavigate } from "react-router";

import { post } from "../api/http";
import { keys } from "../api/keys";
import { Button } from "../kit/Button";
import { TextField } from "../kit/Fields";
import { ProblemNote } from "../kit/ProblemNote";
import { Card } from "./Card";

/** Signed in at once with an invitation; by mail otherwise, where the next page asks for its code. */
type Registered = { user: unknown } | { detail: string };

export function RegisterPage() {
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [invitation, setInvitation] = useState("");
  const client = useQueryClient();
  const navigate = useNavigate();
  const register = useMutation({
    mutationFn: () =>
      post<Registered>("/auth/register", {
        email: email.trim(),
        full_name: name.trim(),
        password,
        ...(invitation.trim() === "" ? {} : { invitation: invitation.trim() }),
      }),
    onSuccess: async (answer) => {
      if ("user" in answer) {
        await client.invalidateQueries({ queryKey: keys.me });
        void navigate("/", { replace: true });
      } else {
        void navigate("/verify-email", { state: { email: email.trim() } });
      }
    },
  });
  const lacking = [email, name, password].some((each) => each.trim() === "");

  function submit(event: SyntheticEvent): void {
    event.preventDefault();
    register.mutate();
  }

  return (
    <Card title="Create an account" lead="Several unrelated words make a good password.">
      <form className="form" onSubmit={submit}>
        <TextField label="Name" autoComplete="name" required maxLength={200} value={name} onChange={setName} />
        <TextField label="Email" autoComplete="username" required maxLength={320} value={email} onChange={setEmail} />
        <TextField
          label="Password"
          type="password"
          autoComplete="new-password"
          required
          maxLength={1024}
          value={password}
          onChange={setPassword}
        />
        <TextField label="Invitation" optional mono maxLength={200} value={invitation} onChange={setInvitation} />
        {register.error && <ProblemNote error={register.error} />}
        <Button type="submit" look="primary" size="large" isDisabled={lacking} isPending={register.isPending}>
          Create my account
        </Button>
      </form>
    </Card>
  );
}
