/** The theme is the only thing this interface stores in the browser. public/theme.js applies it before first paint. */
import { useState } from "react";

export type Theme = "light" | "dark" | "system";

const key = "keybearer.theme";

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState<Theme>(stored);
  return [
    theme,
    (chosen) => {
      setTheme(chosen);
      apply(chosen);
    },
  ];
}

function stored(): Theme {
  const applied = document.documentElement.dataset.theme;
  return applied === "light" || applied === "dark" ? applied : "system";
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
