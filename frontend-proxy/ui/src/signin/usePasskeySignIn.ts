import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";

import { post } from "../api/http";
import { keys } from "../api/keys";
import { askForPasskey, autofillPossible } from "../api/webauthn";

interface Options {
  publicKey: PublicKeyCredentialRequestOptionsJSON;
}

/** A challenge lasts for five minutes; one that is about to end is none to begin with. */
const usable = 4 * 60_000;
const challenge = {
  queryKey: ["passkey-challenge"],
  queryFn: () => post<Options>("/auth/login/passkey/options"),
  staleTime: usable,
  gcTime: 0,
  retry: false,
};

/** Signs in with a passkey alone, from the button, or from the autofill of the address. */
export function usePasskeySignIn() {
  const client = useQueryClient();
  const autofill = useQuery({ queryKey: ["passkey-autofill"], queryFn: autofillPossible, staleTime: Infinity });
  const { data } = useQuery({ ...challenge, enabled: autofill.data === true, refetchInterval: usable });
  const waiting = useRef<AbortController | null>(null);
  const entering = useMutation({
    // Without a passkey, whatever autofill had to offer.
    mutationFn: async (credential?: object) => post("/auth/login/passkey", { credential: credential ?? (await ask()) }),
    gcTime: 0,
    onSuccess: () => client.invalidateQueries({ queryKey: keys.me }),
    // The challenge may be used up.
    onError: () => client.resetQueries({ queryKey: challenge.queryKey }),
  });
  const { mutate, isPending: pending, error } = entering;

  async function ask(): Promise<object> {
    // A browser asks one thing at a time.
    waiting.current?.abort();
    return askForPasskey((await client.query(challenge)).publicKey);
  }

  useEffect(() => {
    if (data === undefined || pending) return;
    const patience = new AbortController();
    waiting.current = patience;
    askForPasskey(data.publicKey, patience.signal).then(
      (credential) => mutate(credential),
      // Autofill was not used; nobody asked for it.
      () => undefined,
    );
    return () => patience.abort();
  }, [data, pending, mutate]);

  return { start: () => mutate(undefined), pending, error };
}
