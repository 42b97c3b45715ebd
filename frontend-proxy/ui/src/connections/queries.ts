import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";

import { get, post, remove } from "../api/http";
import { keys } from "../api/keys";
import { ApiProblem, unreachable } from "../api/problem";
import type { Connection, Disconnected, Page } from "../api/types";

export function useConnections() {
  return useQuery({
    queryKey: keys.connections,
    queryFn: ({ signal }) => get<Page<Connection>>("/connections", {}, signal),
    // A connection in use moves its "last used", and no event says so.
    refetchInterval: 15_000,
  });
}

interface Start {
  provider: string;
  scopes?: string[];
  connection?: string;
}

/** Leaves for the provider's consent page; the answer comes back to /connections. */
export function useStartConnection() {
  const start = useMutation({
    mutationFn: async ({ provider, ...body }: Start) => {
      const path = `/connections/${encodeURIComponent(provider)}/start`;
      const { authorize_url: url } = await post<{ authorize_url: string }>(path, { ...body, return_to: "/connections" });
      if (!/^https?:\/\//.test(url)) throw new ApiProblem(unreachable("answer_unreadable"));
      return url;
    },
    onSuccess: (url) => window.location.assign(url),
  });
  const { reset } = start;
  useEffect(() => {
    // Back from the provider's page shows this one as it was left: with a button that waits for ever.
    const shown = (event: PageTransitionEvent) => event.persisted && reset();
    window.addEventListener("pageshow", shown);
    return () => window.removeEventListener("pageshow", shown);
  }, [reset]);
  return start;
}

export function useConnectWithFields() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ provider, fields }: { provider: string; fields: Record<string, string> }) =>
      post<Connection>(`/connections/${encodeURIComponent(provider)}`, { fields }),
    onSuccess: (connection) => {
      client.setQueryData<Page<Connection>>(keys.connections, (page) =>
        page && { ...page, items: [connection, ...page.items.filter(({ id }) => id !== connection.id)] },
      );
      void client.invalidateQueries({ queryKey: keys.connections });
    },
  });
}

export function useRefreshConnection() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => post<Connection>(`/connections/${id}/refresh`),
    onSuccess: (connection) => {
      client.setQueryData<Page<Connection>>(keys.connections, (page) =>
        page && { ...page, items: page.items.map((item) => (item.id === connection.id ? connection : item)) },
      );
    },
    onSettled: () => void client.invalidateQueries({ queryKey: keys.connections }),
  });
}

export function useDisconnect() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => remove<Disconnected>(`/connections/${id}`),
    onSuccess: (_, id) => {
      client.setQueryData<Page<Connection>>(keys.connections, (page) =>
        page && { ...page, items: page.items.filter((item) => item.id !== id) },
      );
      void client.invalidateQueries({ queryKey: keys.grants });
    },
    onSettled: () => void client.invalidateQueries({ queryKey: keys.connections }),
  });
}
