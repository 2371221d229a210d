// The first view: what this does, a job to begin at once, and the latest jobs.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { asProblem, type BaseModel, type Corpus, type Job, postJson, ProblemError } from "./api";
import { CorpusPicker } from "./corpus-picker";
import { EstimateView, type Sample, useEstimate } from "./estimate";
import { JobList } from "./jobs";
import { ModelPicker } from "./model-picker";
import { buildRecipe, type Choices, FIRST_CHOICES, type FieldErrorMap, type FieldName, placeErrors } from "./recipe";
import { MoreFields, SizeField } from "./recipe-form";
import { announce, FieldErrors, Problem, ViewTitle } from "./ui";

export function HomePage() {
  return (
    <main id="main" class="wide">
      <div class="hero">
        <ViewTitle title="New job">Make a language model smaller and faster for your texts</ViewTitle>
        <p>Choose a base model, give texts like those it will read, choose a size. You get a model that loads in its place, and a report that measures what it keeps.</p>
      </div>
      <NewJob />
      <section aria-labelledby="latest">
        <div class="section-head"><h2 id="latest">Latest jobs</h2><a href="#/jobs">All jobs</a></div>
        <JobList limit={5} />
      </section>
    </main>
  );
}

function NewJob() {
  const form = useRef<HTMLFormElement>(null);
  const [model, setModel] = useState<{ id: string; known: BaseModel | null }>({ id: "", known: null });
  const [corpus, setCorpus] = useState<Corpus | null>(null);
  const [sample, setSample] = useState<Sample | null>(null);
  const [choices, setChoices] = useState<Choices>(FIRST_CHOICES);
  const [name, setName] = useState("");
  const [tried, setTried] = useState(false);
  const [refused, setRefused] = useState<ProblemError | null>(null);
  const [sending, setSending] = useState(false);
  const [opened, setOpened] = useState(false);

  const built = useMemo(() => buildRecipe(choices), [choices]);
  const isSound = Object.keys(built.errors).length === 0;
  const estimate = useEstimate({ model: model.id, recipe: isSound ? built.recipe : null, corpus, sample });
  const placed = placeErrors(refused ?? estimate.problem ?? new ProblemError(0, "none", ""));
  const missing: FieldErrorMap = {
    ...(model.id ? {} : { model: ["Choose a base model."] }),
    ...(corpus ? {} : { corpus: [sample ? "Wait until the texts are uploaded." : "Give a file with texts."] }),
  };
  const errors: FieldErrorMap = { ...(tried ? missing : {}), ...placed, ...built.errors };
  const hidden: FieldName[] = ["training", "layers", "exports", "quality", "more"];
  const showsHidden = opened || hidden.some((field) => errors[field]?.length);

  useEffect(() => setRefused(null), [model.id, corpus?.id, choices, name]);

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    setTried(true);
    if (!model.id || !corpus || !isSound) return focusFault();
    setSending(true);
    try {
      const body = { base_model: model.id, corpus_id: corpus.id, recipe: built.recipe, ...(name.trim() ? { name: name.trim() } : {}) };
      const job = await postJson<Job>("/v1/jobs", body, { headers: { "idempotency-key": newKey() } });
      announce("The job is submitted.");
      location.hash = `#/jobs/${job.id}`;
    } catch (error) {
      setRefused(asProblem(error));
      setSending(false);
      focusFault();
    }
  };
  // Once the errors are shown: the first field that has one.
  const focusFault = () => setTimeout(() => form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus(), 50);

  const shared = { choices, onChange: setChoices, errors, model: model.known, estimate: estimate.estimate };
  const waitingFor = [...(model.id ? [] : ["a model"]), ...(corpus || sample ? [] : ["texts"])];
  return (
    <form ref={form} class="new-job" onSubmit={submit} noValidate aria-label="New job">
      <div class="parts">
        <section class="card" aria-labelledby="part-model">
          <h2 id="part-model"><span class="number" aria-hidden="true">1</span>Model</h2>
          <ModelPicker value={model.id} onChange={(id, known) => setModel({ id, known })} errors={errors.model ?? []} />
        </section>
        <section class="card" aria-labelledby="part-texts">
          <h2 id="part-texts"><span class="number" aria-hidden="true">2</span>Texts</h2>
          <CorpusPicker corpus={corpus} onChange={setCorpus} onFile={(file, options) => setSample(file && { file, options })} errors={errors.corpus ?? []} />
        </section>
        <section class="card" aria-labelledby="part-size">
          <h2 id="part-size"><span class="number" aria-hidden="true">3</span>Size</h2>
          <div>
          <SizeField {...shared} />
          <details open={showsHidden} onToggle={(event) => setOpened(event.currentTarget.open)}>
            <summary>Training, layers, exports, least quality</summary>
            <MoreFields {...shared} />
          </details>
          </div>
        </section>
      </div>
      <aside class="card expect" aria-labelledby="part-expect">
        <h2 id="part-expect">What to expect</h2>
        <EstimateView state={placed && !refused ? { ...estimate, problem: null } : estimate} model={model.known} waitingFor={waitingFor} />
        <div class="field">
          <label for="job-name">Name of the job <span class="soft">(optional)</span></label>
          <input id="job-name" type="text" value={name} maxLength={200} autocomplete="off" aria-invalid={errors.name?.length ? "true" : undefined} aria-describedby="job-name-errors" onInput={(event) => setName(event.currentTarget.value)} />
          <FieldErrors id="job-name-errors" errors={errors.name ?? []} />
        </div>
        {refused && !placed && !refused.needsKey && <Problem problem={refused} title="The job was not taken." />}
        <button type="submit" class="primary big" disabled={sending}>{sending ? "Submitting…" : "Compress"}</button>
        <details>
          <summary>The same over HTTP</summary>
          <pre tabIndex={0} aria-label="The request">{`POST /v1/jobs\n${JSON.stringify({ base_model: model.id || "…", corpus_id: corpus?.id ?? "…", recipe: built.recipe }, null, 2)}`}</pre>
        </details>
      </aside>
    </form>
  );
}

/** A random key; `crypto.randomUUID` is there on HTTPS and localhost alone. */
function newKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
