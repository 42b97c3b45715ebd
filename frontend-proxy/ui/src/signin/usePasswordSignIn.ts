import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { post } from "../api/http";
import { keys } from "../api/keys";
import { hasCode } from "../api/problem";
import type { Proof, Way } from "../api/types";

export interface Credentials {
  email: string;
  password: string;
  replacement: string;
}

/** A sign-in in one step or two. Nothing of it is kept: the answer is a cookie that no script can read. */
export function usePasswordSignIn() {
  const client = useQueryClient();
  const [credentials, setCredentials] = useState<Credentials>({ email: "", password: "", replacement: "" });
  const [ways, setWays] = useState<readonly Way[] | null>(null);
  const [expired, setExpired] = useState(false);
  const signIn = useMutation({
    mutationFn: (proof: Proof) => {
      const { email, password, replacement } = credentials;
      return post("/auth/login", { ...proof, email: email.trim(), password, ...(replacement === "" ? {} : { new_password: replacement }) });
    },
    gcTime: 0,
    onSuccess: () => client.invalidateQueries({ queryKey: keys.me }),
    onError: (error) => {
      if (hasCode(error, "factor_required")) setWays(error.factors);
      if (hasCode(error, "password_expired")) {
        setExpired(true);
        setWays(null);
      }
    },
  });
  return {
    credentials,
    setCredentials,
    expired,
    /** What the second step may be; null in the first. */
    ways,
    begin: () => signIn.mutate({}),
    /** A recovery code gets through a lock that even the right password does not. */
    beginWithRecoveryCode: () => setWays(["recovery_code"]),
    show: (proof: Proof) => signIn.mutateAsync(proof),
    back: () => {
      setWays(null);
      signIn.reset();
    },
    pending: signIn.isPending,
    error: hasCode(signIn.error, "factor_required") ? null : signIn.error,
  };
}

export type PasswordSignIn = ReturnType<typeof usePasswordSignIn>;
