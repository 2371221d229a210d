// The choices of the form, the recipe that they make, and the fields that errors point to.
import type { FieldFault, ProblemError, Recipe } from "./api";

export interface Choices {
  sizes: number[];
  otherSizes: string;
  preset: string;
  layers: string;
  exports: string[];
  minQuality: string;
  targetMegabytes: string;
  targetMilliseconds: string;
  /** Empty for the one that the service takes. */
  targetRuntime: string;
  more: string;
}

export const FIRST_CHOICES: Choices = {
  sizes: [0.25],
  otherSizes: "",
  preset: "balanced",
  layers: "",
  exports: [],
  minQuality: "",
  targetMegabytes: "",
  targetMilliseconds: "",
  targetRuntime: "",
  more: "",
};

export const NO_TRAINING = "none";
export const ANY_RUNTIME = "any";

export type FieldName = "model" | "corpus" | "sizes" | "training" | "layers" | "exports" | "quality" | "target" | "more" | "name";
export type FieldErrorMap = Partial<Record<FieldName, string[]>>;

/** Tell whether a target is asked, which stands in place of sizes and layers. */
export function hasTarget(choices: Choices): boolean {
  return Boolean(choices.targetMegabytes.trim() || choices.targetMilliseconds.trim());
}

export interface Built {
  recipe: Recipe;
  errors: FieldErrorMap;
}

/** Make the recipe; what cannot be read is an error of its field. */
export function buildRecipe(choices: Choices): Built {
  const errors: FieldErrorMap = {};
  const byTarget = hasTarget(choices);
  const sizes = byTarget ? [] : [...choices.sizes];
  for (const part of byTarget ? [] : choices.otherSizes.replace(/\s+%/g, "%").split(/[;\s]+|,(?!\d{3}\b)/).filter(Boolean)) {
    const size = readSize(part);
    if (size === null) errors.sizes = [`“${part}” is no size. Write a share such as 15%, or a number of tokens such as 8000.`];
    else if (!sizes.includes(size)) sizes.push(size);
  }
  if (sizes.length === 0 && !errors.sizes && !byTarget) errors.sizes = ["Choose at least one size."];
  const recovery: Recipe = choices.preset === NO_TRAINING ? { objective: "none" } : { preset: choices.preset };
  if (choices.layers.trim()) {
    const layers = Number(choices.layers);
    if (Number.isInteger(layers) && layers >= 1) recovery.keep_layers = layers;
    else errors.layers = ["Give a whole number of layers, 1 or more, or leave this empty to keep all."];
  }
  const recipe: Recipe = byTarget ? { target: readTarget(choices, errors), recovery } : { vocab_size: sizes.length === 1 ? sizes[0] : sizes, recovery };
  if (choices.exports.length > 0) recipe.export = Object.fromEntries(choices.exports.map((name) => [name, true]));
  if (choices.minQuality.trim()) {
    const percent = Number(choices.minQuality);
    // Beside a target the least quality is part of it.
    if (percent > 0 && percent <= 100) merge(recipe, { [byTarget ? "target" : "gate"]: { min_quality: percent / 100 } });
    else errors.quality = ["Give a percentage above 0 and up to 100, or leave this empty."];
  }
  if (choices.more.trim()) {
    try {
      const more: unknown = JSON.parse(choices.more);
      if (!isObject(more)) throw new Error("it is no object");
      merge(recipe, more);
    } catch (error) {
      errors.more = [`This must be a JSON object, such as {"seed": 1}: ${(error as Error).message}`];
    }
  }
  return { recipe, errors };
}

function readTarget(choices: Choices, errors: FieldErrorMap): Recipe {
  const target: Recipe = {};
  const read = (name: string, text: string, times: number) => {
    if (!text.trim()) return;
    const value = Number(text);
    if (value > 0 && Number.isFinite(value)) target[name] = times > 1 ? Math.round(value * times) : value;
    else errors.target = ["Give a number above 0, or leave this empty."];
  };
  read("max_bytes", choices.targetMegabytes, 1e6);
  read("max_ms", choices.targetMilliseconds, 1);
  if (choices.targetRuntime) target.runtime = choices.targetRuntime;
  return target;
}

function readSize(text: string): number | null {
  const match = /^(\d+(?:,\d{3})*(?:\.\d+)?)(%?)$/.exec(text);
  if (!match) return null;
  const value = Number(match[1]!.replaceAll(",", ""));
  const size = match[2] ? Math.round(value * 1e4) / 1e6 : value;
  return size > 0 && (size <= 1 || (!match[2] && Number.isInteger(size))) ? size : null;
}

function isObject(value: unknown): value is Recipe {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function merge(into: Recipe, more: Recipe): void {
  for (const [name, value] of Object.entries(more)) {
    const present = into[name];
    if (isObject(present) && isObject(value)) merge(present, value);
    else Object.defineProperty(into, name, { value, enumerable: true, configurable: true, writable: true });
  }
}

const PLACES: [RegExp, FieldName][] = [
  [/^\/(base_model|revision)/, "model"],
  [/^\/(corpus_id|corpus|file|format|text_field)/, "corpus"],
  [/^\/recipe\/vocab_size/, "sizes"],
  [/^\/recipe\/recovery\/keep_layers/, "layers"],
  [/^\/recipe\/recovery\/(preset|objective)/, "training"],
  [/^\/recipe\/export/, "exports"],
  [/^\/recipe\/(gate|target)\/min_quality/, "quality"],
  [/^\/recipe\/target/, "target"],
  [/^\/recipe/, "more"],
  [/^\/name/, "name"],
];

// Codes whose problem document points to no field.
const CODES: [RegExp, FieldName][] = [
  [/model|tokenizer|remote_code|weights|hub_|revision/, "model"],
  [/^vocab_size/, "sizes"],
  [/^keep_layers/, "layers"],
  [/^export/, "exports"],
  [/^recovery/, "training"],
  [/^gate/, "quality"],
  [/^target/, "target"],
  [/^task|keep_tokens|multiword/, "more"],
  [/corpus|records|text|csv|json|parquet|utf8|documents/, "corpus"],
];

/** Sort what a problem says by the field it is about; null where it is about none. */
export function placeErrors(problem: ProblemError): FieldErrorMap | null {
  const found: FieldErrorMap = {};
  for (const fault of problem.errors) {
    const field = PLACES.find(([place]) => place.test(fault.pointer))?.[1];
    if (field) (found[field] ??= []).push(sentence(field, fault));
  }
  if (Object.keys(found).length === 0 && problem.status >= 400 && problem.status < 500 && problem.status !== 401) {
    const field = CODES.find(([code]) => code.test(problem.code))?.[1];
    if (field && problem.code !== "invalid_request") found[field] = [problem.message];
  }
  if (problem.code === "hub_unreachable") found.model = [problem.message];
  return Object.keys(found).length > 0 ? found : null;
}

function sentence(field: FieldName, fault: FieldFault): string {
  return field === "more" ? `${fault.pointer.replace(/^\/recipe\//, "").replaceAll("/", ".")}: ${fault.detail}` : fault.detail;
}
