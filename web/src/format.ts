// Numbers and times in words, in the reader's own notation.
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Name a model of a job by its tokens, and by its layers where a target chose them. */
export function modelName(tokens: number, layers?: number | null): string {
  return `${count(tokens)} tokens${layers ? `, ${plural(layers, "layer")}` : ""}`;
}

export function count(value: number): string {
  return whole.format(value);
}

export function fixed(value: number, digits: number): string {
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Three significant digits. */
export function short(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

export function percent(share: number, digits = 1): string {
  return `${fixed(share * 100, digits)}\u00a0%`;
}

export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? whole.format(value) : fixed(value, 1)}\u00a0${units[unit]}`;
}

export function millions(value: number): string {
  return value >= 1e6 ? `${fixed(value / 1e6, 1)}\u00a0M` : value >= 1e3 ? `${fixed(value / 1e3, 1)}\u00a0k` : count(value);
}

export function duration(seconds: number, tenths = false): string {
  if (tenths && seconds < 9.95) return `${fixed(Math.max(0, seconds), 1)} s`;
  const rounded = Math.max(0, Math.round(seconds));
  if (rounded < 60) return `${rounded} s`;
  const minutes = Math.floor(rounded / 60);
  if (minutes < 60) return `${minutes} min ${String(rounded % 60).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

export function left(seconds: number): string {
  if (seconds < 10) return "a few seconds left";
  if (seconds < 90) return `about ${Math.round(seconds / 5) * 5} s left`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} min left`;
  return `about ${fixed(seconds / 3600, 1)} h left`;
}

const dayAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export function moment(text: string): string {
  return dayAndTime.format(new Date(text));
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** The tokens of a share of a vocabulary, as the service rounds: a half goes to the even number. */
export function tokensOf(share: number, vocabulary: number): number {
  const exact = share * vocabulary;
  const rounded = Math.round(exact);
  return rounded - exact === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded;
}

/** "25 %" of a fraction, "8,000 tokens" of a number of tokens. */
export function sizeLabel(size: number): string {
  return size <= 1 ? `${short(size * 100)}\u00a0%` : `${count(size)} tokens`;
}

/** What a recipe asks for: its sizes, or a target in their place. */
export function askedFor(recipe: Record<string, unknown>): string {
  return recipe.target ? "by target" : recipeSizes(recipe).map(sizeLabel).join(", ");
}

export function recipeSizes(recipe: Record<string, unknown>): number[] {
  const sizes = recipe.vocab_size as number | number[] | undefined;
  return sizes === undefined ? [] : Array.isArray(sizes) ? sizes : [sizes];
}
