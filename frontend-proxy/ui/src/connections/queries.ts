import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { get, post, remove } from "../api/http";
import { keys } from "../api/keys";
import type { Connection, Disconnected, Page } from "../api/types";

export function useConnections() {
  return useQuery({
    queryKey: keys.connections,
    queryFn: ({ signal }) => get<Page<Connection>>("/connections", {}, signal),
  });
}

interface Start {
  provider: string;
  scopes?: string[];
  connection?: string;
}

/** Leaves for the provider's consent page; the answer comes back to /connections. */
export function useStartConnection() {
  return useMutation({
    mutationFn: ({ provider, ...body }: Start) =>
      post<{ authorize_url: string }>(`/connections/${encodeURIComponent(provider)}/start`, { ...body, return_to: "/connections" }),
    onSuccess: ({ authorize_url }) => {
      if (/^https?:\/\//.test(authorize_url)) window.location.assign(authorize_url);
    },
  });
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
    onSettled: () => client.invalidateQueries({ queryKey: keys.connections }),
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
    onSettled: () => client.invalidateQueries({ queryKey: keys.connections }),
  });
}
