// Calls to the service: the key, problem documents as errors, and the types of its contract.
import type { components } from "./openapi";
import { readKey } from "./session";

type Schemas = components["schemas"];
export type Job = Schemas["JobView"];
export type JobEvent = Schemas["EventView"];
export type Corpus = Schemas["CorpusView"];
export type BaseModel = Schemas["BaseModelView"];
export type Report = Schemas["Report"];
export type SweepRow = Schemas["SweepRow"];
export type Quality = Schemas["Quality"];
export type LossPoint = Schemas["LossPoint"];
export type ArtifactFile = Schemas["ArtifactFileView"];
export type FieldFault = Schemas["FieldError"];
type ProblemDocument = Schemas["Problem"];

export type Recipe = Record<string, unknown>;

export interface Page<Row> {
  data: Row[];
  has_more: boolean;
}

/** What the page is told of this installation, with the names of metrics and runtimes. */
export interface Facts {
  version: string;
  auth: boolean;
  hub: boolean;
  metrics: Record<string, { label: string; short: string; unit: string; higher_is_better: boolean }>;
  runtimes: Record<string, { label: string; path: string; paths: string[]; field: string | null }>;
  target_runtime: string;
  presets: Record<string, string>;
  objectives: Record<string, string>;
}

/** The answer to `POST /v1/estimate`. */
export interface Estimate {
  base: { architecture: string; parameters: number; bytes: number; vocab_size: number; layers: number };
  corpus: { documents: number; bytes: number; is_sample: boolean; language: string | null };
  sizes: {
    vocab_size: number;
    layers: number;
    parameters: number;
    bytes: number;
    exports: { runtime: string; precision: string; bytes: number }[];
    weighed: string[];
    tokens_per_text: Interval;
    base_tokens_per_text: number;
  }[];
  minutes: Interval;
  basis: string;
  steps: string[];
  warnings: { code: string; message: string }[];
}

export interface Interval {
  value: number;
  low: number;
  high: number;
}

/** An answer of 400 and above, or none at all (status 0). */
export class ProblemError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly errors: FieldFault[] = [],
    readonly requestId: string | null = null,
  ) {
    super(detail);
  }

  get needsKey(): boolean {
    return this.status === 401;
  }
}

const UNREACHABLE =
  "The service does not answer. Check that it runs and that you are connected, then try again.";

let clockOffset = 0;

/** Milliseconds since 1970 by the clock of the service, to a second. */
export function serverNow(): number {
  return Date.now() + clockOffset;
}

let onUnauthorized: (() => void) | null = null;

export function whenUnauthorized(ask: () => void): void {
  onUnauthorized = ask;
}

export function authorization(): Record<string, string> {
  const key = readKey();
  return key ? { authorization: `Bearer ${key}` } : {};
}

export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { ...authorization(), ...(init.headers as Record<string, string> | undefined) };
  let response: Response;
  try {
    response = await fetch(path, { cache: "no-store", ...init, headers });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ProblemError(0, "unreachable", UNREACHABLE);
  }
  const date = Date.parse(response.headers.get("date") ?? "");
  if (date) clockOffset = Math.abs(date - Date.now()) > 2000 ? date - Date.now() : 0;
  if (response.type !== "opaqueredirect" && response.status >= 400) {
    throw raised(response.status, await response.text());
  }
  return response;
}

/** The error that an answer stands for; asks for a key where that is what is missing. */
export function raised(status: number, body: string): ProblemError {
  if (status === 401) onUnauthorized?.();
  try {
    const problem = JSON.parse(body) as ProblemDocument;
    if (typeof problem.detail === "string") {
      const { code, detail, errors, request_id } = problem;
      return new ProblemError(status, code, detail, errors ?? [], request_id);
    }
  } catch {
    // A proxy's page, for example.
  }
  return new ProblemError(status, "unknown", `The service answered ${status}. Try again later.`);
}

export async function getJson<Body>(path: string, init: RequestInit = {}): Promise<Body> {
  const headers = { accept: "application/json", ...(init.headers as object | undefined) };
  return (await request(path, { ...init, headers })).json() as Promise<Body>;
}

export function postJson<Body>(path: string, body: unknown, init: RequestInit = {}): Promise<Body> {
  return getJson(path, {
    method: "POST",
    ...init,
    headers: { "content-type": "application/json", ...(init.headers as object | undefined) },
    body: JSON.stringify(body),
  });
}

export async function remove(path: string): Promise<void> {
  await request(path, { method: "DELETE" });
}

export function asProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  return new ProblemError(0, "unknown", error instanceof Error ? error.message : String(error));
}
