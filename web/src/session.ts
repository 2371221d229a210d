// What the browser remembers: the key for this tab alone, and the theme.
const KEY = "fvt-key";
const THEME = "fvt-theme";

export type Theme = "auto" | "light" | "dark";
export const THEMES: Theme[] = ["auto", "light", "dark"];

export function readKey(): string | null {
  return sessionStorage.getItem(KEY);
}

export function storeKey(key: string | null): void {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

export function readTheme(): Theme {
  const stored = localStorage.getItem(THEME) as Theme | null;
  return stored && THEMES.includes(stored) ? stored : "auto";
}

/** Show a theme, and tell those who draw on a canvas. */
export function applyTheme(theme: Theme): void {
  localStorage.setItem(THEME, theme);
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  dispatchEvent(new Event("themechange"));
}
