import { useCallback, useMemo } from "react";

import { useMe, useProviders } from "../api/me";
import { providerTitle } from "../signin/providerTitle";
import type { Context } from "./sentence";

/** Who reads, and how the providers spell themselves: what a sentence needs beside its entry. */
export function useSentenceContext(): Context {
  const me = useMe().data?.id ?? null;
  const providers = useProviders().data?.items;
  const titleOf = useCallback((name: string) => providerTitle(name, providers), [providers]);
  return useMemo(() => ({ me, titleOf }), [me, titleOf]);
}
