import type { SyntheticEvent } from "react";
import { Link } from "react-router";

import { hasCode } from "../api/problem";
import { Refusal } from "../factors/Refusal";
import { Button } from "../kit/Button";
import { TextField } from "../kit/Fields";
import { ProblemNote } from "../kit/ProblemNote";
import type { Credentials, PasswordSignIn } from "./usePasswordSignIn";

export function PasswordForm({ signIn }: { signIn: PasswordSignIn }) {
  const { credentials, setCredentials, expired, pending, error } = signIn;
  const { email, password, replacement } = credentials;
  const locked = hasCode(error, "account_locked") ? error : null;
  const change = (changed: Partial<Credentials>) => setCredentials({ ...credentials, ...changed });

  function submit(event: SyntheticEvent): void {
    event.preventDefault();
    signIn.begin();
  }

  return (
    <form className="form" onSubmit={submit}>
      <TextField
        label="Email"
        autoComplete="username webauthn"
        required
        maxLength={320}
        value={email}
        onChange={(value) => change({ email: value })}
      />
      <TextField
        label="Password"
        type="password"
        autoComplete="current-password"
        required
        maxLength={1024}
        value={password}
        error={locked && <Refusal error={locked} way="password" />}
        onChange={(value) => change({ password: value })}
      />
      {expired && (
        <TextField
          label="New password"
          hint="The old one is past its age here."
          type="password"
          autoComplete="new-password"
          required
          maxLength={1024}
          value={replacement}
          onChange={(value) => change({ replacement: value })}
        />
      )}
      {error && !locked && <ProblemNote error={error} />}
      {hasCode(error, "address_unproven") && (
        <Link to="/verify-email" state={{ email }}>
          Enter the code of the mail
        </Link>
      )}
      {hasCode(error, "password_reset_needed") && <Link to="/reset-password">Choose a new password</Link>}
      <Button type="submit" look="primary" size="large" isDisabled={email.trim() === "" || password === ""} isPending={pending}>
        Sign in
      </Button>
      {locked && (
        <Button size="large" onPress={signIn.beginWithRecoveryCode}>
          Use a recovery code
        </Button>
      )}
      <p className="signin-links">
        <Link to="/reset-password">Forgot your password?</Link>
        <Link to="/register">Create an account</Link>
      </p>
    </form>
  );
}
