import { Monitor, Moon, Sun } from "lucide-react";

import { Segments } from "./Fields";
import { useTheme } from "./theme";

const themes = [
  { value: "light", label: "Light theme", icon: <Sun className="icon" aria-hidden /> },
  { value: "dark", label: "Dark theme", icon: <Moon className="icon" aria-hidden /> },
  { value: "system", label: "System theme", icon: <Monitor className="icon" aria-hidden /> },
] as const;

export function ThemeSwitch() {
  const [theme, setTheme] = useTheme();
  return <Segments legend="Theme" hideLegend value={theme} options={themes} onChange={setTheme} />;
}
