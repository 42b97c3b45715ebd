/** The theme is the only thing this interface stores in the browser. public/theme.js applies it before first paint. */
import { useSyncExternalStore } from "react";

export type Theme = "light" | "dark" | "system";

const key = "keybearer.theme";

const switches = new Set<() => void>();

export function useTheme(): [Theme, (theme: Theme) => void] {
  return [useSyncExternalStore(subscribe, applied), choose];
}

function subscribe(tell: () => void): () => void {
  switches.add(tell);
  return () => switches.delete(tell);
}

function choose(theme: Theme): void {
  apply(theme);
  switches.forEach((tell) => tell());
}

function applied(): Theme {
  const theme = document.documentElement.dataset.theme;
  return theme === "light" || theme === "dark" ? theme : "system";
}

function apply(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    if (theme === "system") window.localStorage.removeItem(key);
    else window.localStorage.setItem(key, theme);
  } catch {
    // Without storage the choice lasts until the page is left, which is all that can be done.
  }
}
