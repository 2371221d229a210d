// What to expect of a job before it is submitted, as the service estimates it.
import { useEffect, useState } from "preact/hooks";
import {
  asProblem,
  type BaseModel,
  type Corpus,
  type Estimate,
  type Interval,
  postJson,
  type ProblemError,
  type Recipe,
  request,
} from "./api";
import { runtimeLabel, useFacts } from "./facts";
import { bytes, count, fixed, millions, short } from "./format";
import { corpusForm, type ReadingOptions } from "./upload";
import { Problem } from "./ui";

/** The beginning of a file that is enough to estimate by, while the whole is on its way. */
const SAMPLE_BYTES = 2_000_000;
const PAUSE_MS = 400;

export interface Sample {
  file: File;
  options: ReadingOptions;
}

export interface Asked {
  model: string;
  recipe: Recipe | null;
  corpus: Corpus | null;
  sample: Sample | null;
}

export interface EstimateState {
  estimate: Estimate | null;
  loading: boolean;
  problem: ProblemError | null;
  /** This service has no such call. */
  missing: boolean;
}

const NOTHING: EstimateState = { estimate: null, loading: false, problem: null, missing: false };

export function useEstimate(asked: Asked): EstimateState {
  const [state, setState] = useState<EstimateState>(NOTHING);
  const { model, recipe, corpus, sample } = asked;
  const ready = model && recipe && (corpus || sample);
  useEffect(() => {
    if (state.missing) return;
    if (!ready) return setState(NOTHING);
    setState((before) => ({ ...before, loading: true, problem: null }));
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const estimate = await ask(asked, stop.signal);
        setState({ ...NOTHING, estimate });
      } catch (error) {
        if (stop.signal.aborted) return;
        const problem = asProblem(error);
        const missing = problem.status === 405 || (problem.status === 404 && problem.code !== "corpus_not_found");
        // The beginning of some files cannot be read: the whole will be, once it is here.
        setState(missing ? { ...NOTHING, missing } : { ...NOTHING, problem: corpus ? problem : null });
      }
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [model, JSON.stringify(recipe), corpus?.id, sample?.file, state.missing]);
  return state;
}

async function ask({ model, recipe, corpus, sample }: Asked, signal: AbortSignal): Promise<Estimate> {
  const body = { base_model: model, recipe };
  if (corpus) return postJson("/v1/estimate", { ...body, corpus_id: corpus.id }, { signal });
  const { file, options } = sample!;
  const form = corpusForm(file.slice(0, SAMPLE_BYTES), file.name, options);
  form.delete("name");
  form.set("base_model", model);
  form.set("recipe", JSON.stringify(recipe));
  if (file.size > SAMPLE_BYTES) form.set("corpus_bytes", String(file.size));
  return (await request("/v1/estimate", { method: "POST", body: form, signal })).json() as Promise<Estimate>;
}

interface EstimateViewProps {
  state: EstimateState;
  model: BaseModel | null;
  waitingFor: string[];
}

export function EstimateView({ state, model, waitingFor }: EstimateViewProps) {
  const { estimate, loading, problem, missing } = state;
  if (missing) return <p class="soft">This service gives no estimates. The job itself tells how far it is and how long it still takes.</p>;
  if (waitingFor.length > 0) return <p class="soft">Choose {waitingFor.join(" and ")} to see sizes, speed and minutes before you start.</p>;
  if (problem) return <Problem problem={problem} title="No estimate." />;
  if (!estimate) return <p class="soft">{loading ? "Estimating…" : "The estimate comes once the texts are uploaded."}</p>;
  return (
    <div class={loading ? "stale" : undefined} aria-busy={loading}>
      <Time estimate={estimate} />
      <Sizes estimate={estimate} model={model} />
      {estimate.warnings.map((warning) => <p key={warning.code + warning.message} class="note warn small">{warning.message}</p>)}
      {estimate.steps.length > 0 && (
        <details>
          <summary>What the job will do</summary>
          <ol class="steps small">{estimate.steps.map((step) => <li key={step}>{step}</li>)}</ol>
        </details>
      )}
      <p class="soft small">{estimate.basis}{estimate.corpus.is_sample && " Read from the beginning of the file."}</p>
    </div>
  );
}

/** The models that a target would make, with the files that fit. */
export function WouldBe({ estimate }: { estimate: Estimate }) {
  const facts = useFacts();
  const files = (size: Estimate["sizes"][number]) =>
    size.weighed.map((name) => `${runtimeLabel(facts, name)} ${bytes(size.exports.find((each) => each.runtime === name)?.bytes ?? size.bytes)}`);
  return (
    <div role="status" class="small">
      <span class="soft">Would be made, and the best of them picked:</span>
      <ul class="would-be">
        {estimate.sizes.map((size) => (
          <li key={`${size.vocab_size} ${size.layers}`}>
            <strong>{count(size.vocab_size)} tokens, {size.layers < estimate.base.layers ? `${size.layers} of ${estimate.base.layers}` : "all"} layers</strong> <span class="soft">{files(size).join(", ")}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Time({ estimate: { minutes } }: { estimate: Estimate }) {
  const inSeconds = minutes.high < 1.5;
  const said = inSeconds ? scaled(minutes, 60) : minutes;
  return (
    <p class="headline">
      <strong>{short(said.value)} {inSeconds ? "s" : "min"}</strong>
      <span class="soft small"> likely {short(said.low)} to {short(said.high)}</span>
    </p>
  );
}

function scaled(interval: Interval, by: number): Interval {
  return { value: interval.value * by, low: interval.low * by, high: interval.high * by };
}

function Sizes({ estimate, model }: { estimate: Estimate; model: BaseModel | null }) {
  const facts = useFacts();
  const { base, sizes } = estimate;
  const before = model?.bytes ?? base.bytes;
  return (
    <ul class="expected">
      {sizes.map((size) => (
        <li key={`${size.vocab_size} ${size.layers}`}>
          <div><strong>{bytes(size.bytes)}</strong> <span class="soft">of {bytes(before)}, {fixed(before / size.bytes, 1)}× smaller</span></div>
          <div class="small soft">
            {count(size.vocab_size)} tokens{size.layers < base.layers && `, ${size.layers} of ${base.layers} layers`}, {millions(size.parameters)} parameters
          </div>
          <div class="small soft">
            {fixed(size.tokens_per_text.value, 1)} tokens a text ({fixed(size.tokens_per_text.low, 1)} to {fixed(size.tokens_per_text.high, 1)}), {fixed(size.base_tokens_per_text, 1)} now
          </div>
          {size.exports.map((each) => <div key={each.runtime + each.precision} class="small soft">{runtimeLabel(facts, each.runtime)}: {bytes(each.bytes)}</div>)}
        </li>
      ))}
    </ul>
  );
}
