import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { get, post, remove } from "../api/http";
import { keys } from "../api/keys";
import type { CreatedGrant, Grant, GrantRequest, Page } from "../api/types";

export function useGrants() {
  return useQuery({
    queryKey: keys.grants,
    queryFn: ({ signal }) => get<Page<Grant>>("/grants", {}, signal),
    // A grant in use moves its "last used", and no event says so.
    refetchInterval: 15_000,
  });
}

export function useCreateGrant() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (request: GrantRequest) => post<CreatedGrant>("/grants", request),
    // The answer holds the secret: it lives as long as the drawer that shows it, and no longer.
    gcTime: 0,
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: keys.grants });
      void client.invalidateQueries({ queryKey: keys.connections });
      void client.invalidateQueries({ queryKey: keys.newest });
    },
  });
}

export function useRevokeGrant() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => remove(`/grants/${id}`),
    onSuccess: (_, id) => {
      client.setQueryData<Page<Grant>>(keys.grants, (page) => page && { ...page, items: page.items.filter((item) => item.id !== id) });
      void client.invalidateQueries({ queryKey: keys.connections });
      void client.invalidateQueries({ queryKey: keys.newest });
    },
  });
}
