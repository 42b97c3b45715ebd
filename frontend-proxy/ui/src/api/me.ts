/** Who is signed in, and who may be signed in with: what more than one feature asks. */
import { useQuery } from "@tanstack/react-query";

import { get } from "./http";
import { keys } from "./keys";
import type { Me, Page, Provider } from "./types";

export function useMe() {
  return useQuery({ queryKey: keys.me, queryFn: ({ signal }) => get<Me>("/auth/me", {}, signal) });
}

export function useProviders() {
  return useQuery({
    queryKey: keys.providers,
    queryFn: ({ signal }) => get<Page<Provider>>("/auth/providers", {}, signal),
    staleTime: 5 * 60_000,
  });
}
