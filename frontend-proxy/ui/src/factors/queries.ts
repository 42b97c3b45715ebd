import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { get, post, remove } from "../api/http";
import { keys } from "../api/keys";
import type { AddedPasskey, BegunApp, FactorList, Proof, RecoveryCodes, Way } from "../api/types";
import { askForPasskey, createPasskey } from "../api/webauthn";

export function useFactors() {
  return useQuery({ queryKey: keys.factors, queryFn: ({ signal }) => get<FactorList>("/auth/factors", {}, signal) });
}

/** A seed to show, as long as its drawer is open: never another one meanwhile, and none kept afterwards. */
export function useBegunApp() {
  return useQuery({
    queryKey: ["begun-app"],
    queryFn: () => post<BegunApp>("/auth/factors/totp"),
    staleTime: "static",
    gcTime: 0,
    retry: false,
  });
}

export function useConfirmApp() {
  const changed = useChanged();
  return useMutation({
    mutationFn: (body: { id: string; code: string }) => post<RecoveryCodes>("/auth/factors/totp/confirm", body),
    gcTime: 0,
    onSuccess: changed,
  });
}

export function useAddPasskey() {
  const changed = useChanged();
  return useMutation({
    mutationFn: async (name: string) => {
      const { publicKey } = await post<{ publicKey: PublicKeyCredentialCreationOptionsJSON }>("/auth/passkeys/options");
      const credential = await createPasskey(publicKey);
      return post<AddedPasskey>("/auth/passkeys", { credential, ...(name === "" ? {} : { name }) });
    },
    gcTime: 0,
    onSuccess: changed,
  });
}

export function useRemoveFactor() {
  const changed = useChanged();
  return useMutation({ mutationFn: (id: string) => remove(`/auth/factors/${id}`), onSuccess: changed });
}

export function useNewCodes() {
  const changed = useChanged();
  return useMutation({
    mutationFn: () => post<RecoveryCodes>("/auth/factors/recovery-codes"),
    gcTime: 0,
    onSuccess: changed,
  });
}

export function useChangePassword() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: { current: string; new: string }) => post("/auth/password", body),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.sessions }),
  });
}

/** What the person shows, with what they typed; a passkey is asked for by the browser. */
export async function proofOf(way: Way, typed: string): Promise<Proof> {
  if (way !== "passkey") return { [way]: typed };
  const { publicKey } = await post<{ publicKey: PublicKeyCredentialRequestOptionsJSON }>("/auth/login/passkey/options");
  return { passkey: await askForPasskey(publicKey) };
}

function useChanged(): () => void {
  const client = useQueryClient();
  return () => {
    void client.invalidateQueries({ queryKey: keys.factors });
    void client.invalidateQueries({ queryKey: keys.newest });
  };
}
