import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { get, post, remove } from "../api/http";
import { keys } from "../api/keys";
import type { Identity, Page, Session } from "../api/types";

export function useSessions() {
  return useQuery({
    queryKey: keys.sessions,
    queryFn: ({ signal }) => get<Page<Session>>("/auth/sessions", {}, signal),
  });
}

export function useIdentities() {
  return useQuery({
    queryKey: keys.identities,
    queryFn: ({ signal }) => get<Page<Identity>>("/auth/identities", {}, signal),
  });
}

export function useEndSession() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => remove(`/auth/sessions/${id}`),
    onSuccess: (_, id) => {
      client.setQueryData<Page<Session>>(keys.sessions, (page) => page && { ...page, items: page.items.filter((item) => item.id !== id) });
    },
  });
}

export function useEndOtherSessions() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (grants: boolean) => remove<{ ended: number }>("/auth/sessions", grants ? { query: { grants: true } } : {}),
    onSuccess: (_, grants) => {
      void client.invalidateQueries({ queryKey: keys.sessions });
      if (!grants) return;
      void client.invalidateQueries({ queryKey: keys.grants });
      void client.invalidateQueries({ queryKey: keys.connections });
    },
  });
}

export function useUnlink() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => remove(`/auth/identities/${id}`),
    onSuccess: () => client.invalidateQueries({ queryKey: keys.identities }),
  });
}

/** Leaves no cache behind: the next person at this browser starts from nothing. */
export function useSignOut() {
  return useMutation({
    mutationFn: () => post("/auth/logout"),
    onSuccess: () => window.location.replace("/sign-in"),
  });
}

export function useDeleteAccount() {
  return useMutation({
    mutationFn: (confirm: string) => remove("/auth/me", { body: { confirm } }),
    onSuccess: () => window.location.replace("/sign-in"),
  });
}
