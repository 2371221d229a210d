// Sizes, training, layers, exports and the least quality: the choices of a recipe.
import { useId } from "preact/hooks";
import type { BaseModel, Estimate } from "./api";
import { runtimeLabel, useFacts } from "./facts";
import { count, tokensOf } from "./format";
import { WouldBe } from "./estimate";
import { ANY_RUNTIME, type Choices, type FieldErrorMap, hasTarget, NO_TRAINING } from "./recipe";
import { FieldErrors } from "./ui";

const COMMON_SIZES = [0.75, 0.5, 0.25, 0.1];
const SHOWN_FIRST = ["fast", "balanced", "max"];

// In place of a size: what the file that is shipped may take.
const TARGETS = [
  ["targetMegabytes", "Or a target: most MB of the file"],
  ["targetMilliseconds", "Most ms a text"],
] as const;
const LEAST_MEGABYTES = 0.5;

interface RecipeFormProps {
  choices: Choices;
  onChange: (choices: Choices) => void;
  errors: FieldErrorMap;
  model: BaseModel | null;
  estimate: Estimate | null;
}

export function SizeField({ choices, onChange, errors, model, estimate }: RecipeFormProps) {
  const id = useId();
  const facts = useFacts();
  const toggle = (size: number) => {
    const sizes = choices.sizes.includes(size) ? choices.sizes.filter((each) => each !== size) : [...choices.sizes, size];
    onChange({ ...choices, sizes: sizes.sort((a, b) => b - a) });
  };
  const byTarget = hasTarget(choices);
  const several = choices.sizes.length + (choices.otherSizes.trim() ? 1 : 0) > 1;
  return (
    <fieldset class="field" aria-describedby={`${id}-errors ${id}-hint`}>
      <legend>Size of the new vocabulary</legend>
      <div class="chips">
        {COMMON_SIZES.map((size) => (
          <label key={size} class="chip">
            <input type="checkbox" checked={!byTarget && choices.sizes.includes(size)} disabled={byTarget} onChange={() => toggle(size)} />
            <span>{size * 100} %{model?.vocab_size && <small>{count(tokensOf(size, model.vocab_size))} tokens</small>}</span>
          </label>
        ))}
        <div class="other">
          <label for={`${id}-other`} class="soft small">Other</label>
          <input id={`${id}-other`} type="text" size={10} placeholder="15%, 8000" value={choices.otherSizes} disabled={byTarget} spellcheck={false} autocomplete="off"
            aria-invalid={errors.sizes?.length ? "true" : undefined} aria-describedby={`${id}-errors`}
            onInput={(event) => onChange({ ...choices, otherSizes: event.currentTarget.value })} />
        </div>
      </div>
      <p id={`${id}-hint`} class="soft small hint">
        {byTarget ? "The target finds the sizes: up to four models are made, and the best is picked." : several ? "Several sizes are made in one job and plotted, quality against size." : "Smaller saves more and keeps less. Choose several to compare them."}
      </p>
      <FieldErrors id={`${id}-errors`} errors={errors.sizes ?? []} />
      <div class="chips targets">
        {TARGETS.map(([name, label]) => (
          <div key={name} class="other">
            <label for={`${id}-${name}`} class="soft small">{label}</label>
            <input id={`${id}-${name}`} type="text" inputMode="decimal" size={6} placeholder="none" value={choices[name]} autocomplete="off"
              aria-invalid={errors.target?.length ? "true" : undefined} aria-describedby={`${id}-target-errors`}
              onInput={(event) => onChange({ ...choices, [name]: event.currentTarget.value })} />
            {name === "targetMegabytes" && <Slider value={choices[name]} most={model?.bytes ?? estimate?.base.bytes ?? null} onChange={(value) => onChange({ ...choices, [name]: value })} />}
          </div>
        ))}
        <div class="other">
          <label for={`${id}-runtime`} class="soft small">for</label>
          <select id={`${id}-runtime`} aria-label="Runtime of the target" value={choices.targetRuntime} onChange={(event) => onChange({ ...choices, targetRuntime: event.currentTarget.value })}>
            <option value="">{runtimeLabel(facts, facts.target_runtime)}</option>
            <option value={ANY_RUNTIME}>any runtime: the best of all</option>
            {Object.entries(facts.runtimes).filter(([name]) => name !== facts.target_runtime).map(([name, row]) => <option key={name} value={name}>{row.label}</option>)}
          </select>
        </div>
      </div>
      <FieldErrors id={`${id}-target-errors`} errors={errors.target ?? []} />
      {byTarget && estimate && !errors.target?.length && <WouldBe estimate={estimate} />}
    </fieldset>
  );
}

/** A slider over a field of megabytes, from half of one to those of the base, each step as large a share. */
function Slider({ value, most, onChange }: { value: string; most: number | null; onChange: (value: string) => void }) {
  const top = (most ?? 0) / 1e6;
  if (top <= LEAST_MEGABYTES) return null;
  const steps = Math.log(top / LEAST_MEGABYTES);
  const megabytes = Number(value) > 0 ? Number(value) : top;
  const place = Math.min(100, Math.max(0, (100 * Math.log(megabytes / LEAST_MEGABYTES)) / steps));
  return (
    <input type="range" min={0} max={100} step={1} value={Math.round(place)} aria-label="Most MB of the file, from small to large" aria-valuetext={value.trim() ? `${value} MB` : "no limit"}
      onInput={(event) => onChange(String(Number((LEAST_MEGABYTES * Math.exp((steps * Number(event.currentTarget.value)) / 100)).toPrecision(2))))} />
  );
}

export function MoreFields({ choices, onChange, errors, estimate }: RecipeFormProps) {
  const id = useId();
  const baseLayers = estimate?.base.layers;
  const facts = useFacts();
  const presets = Object.keys(facts.presets).length > 0 ? Object.keys(facts.presets) : SHOWN_FIRST;
  const exported = Object.entries(facts.runtimes).filter(([, row]) => row.field);
  const switchExport = (name: string) => {
    const present = choices.exports.includes(name);
    onChange({ ...choices, exports: present ? choices.exports.filter((each) => each !== name) : [...choices.exports, name] });
  };
  return (
    <div class="grid">
      <fieldset class="field" aria-describedby={`${id}-training`}>
        <legend>Training after the transfer</legend>
        {[...presets, NO_TRAINING].map((preset) => (
          <label key={preset} class="choice">
            <input type="radio" name={`${id}-preset`} checked={choices.preset === preset} onChange={() => onChange({ ...choices, preset })} />
            <span>{preset} <span class="soft small">{preset === NO_TRAINING ? "seconds; keeps the least" : facts.presets[preset]}</span></span>
          </label>
        ))}
        <FieldErrors id={`${id}-training`} errors={errors.training ?? []} />
      </fieldset>
      {exported.length > 0 && (
        <fieldset class="field" aria-describedby={`${id}-exports`}>
          <legend>Also write files for</legend>
          {exported.map(([name, row]) => (
            <label key={name} class="choice">
              <input type="checkbox" checked={choices.exports.includes(row.field!)} onChange={() => switchExport(row.field!)} />
              <span>{row.label} <span class="soft small"><code>{row.path}</code></span></span>
            </label>
          ))}
          <FieldErrors id={`${id}-exports`} errors={errors.exports ?? []} />
        </fieldset>
      )}
      <div class="field">
        <label for={`${id}-layers`}>Layers to keep</label>
        <input id={`${id}-layers`} type="text" inputMode="numeric" size={6} value={choices.layers} placeholder="all"
          aria-invalid={errors.layers?.length ? "true" : undefined} aria-describedby={`${id}-layers-errors ${id}-layers-hint`}
          onInput={(event) => onChange({ ...choices, layers: event.currentTarget.value })} />
        <span id={`${id}-layers-hint`} class="soft small hint"> {baseLayers ? `of ${baseLayers}. ` : ""}Fewer layers run faster; training then matters more.</span>
        <FieldErrors id={`${id}-layers-errors`} errors={errors.layers ?? []} />
      </div>
      <div class="field">
        <label for={`${id}-quality`}>Least quality, % of the base's</label>
        <input id={`${id}-quality`} type="text" inputMode="decimal" size={6} value={choices.minQuality} placeholder="none"
          aria-invalid={errors.quality?.length ? "true" : undefined} aria-describedby={`${id}-quality-errors ${id}-quality-hint`}
          onInput={(event) => onChange({ ...choices, minQuality: event.currentTarget.value })} />
        <span id={`${id}-quality-hint`} class="soft small hint"> A result below it fails the job and is kept. Of several sizes the smallest above it is chosen.</span>
        <FieldErrors id={`${id}-quality-errors`} errors={errors.quality ?? []} />
      </div>
      <div class="field full">
        <label for={`${id}-more`}>More of the recipe, as JSON</label>
        <textarea id={`${id}-more`} rows={2} value={choices.more} spellcheck={false} placeholder='{"tokenizer": {"multiword": 500}, "seed": 1}'
          aria-invalid={errors.more?.length ? "true" : undefined} aria-describedby={`${id}-more-errors`}
          onInput={(event) => onChange({ ...choices, more: event.currentTarget.value })} />
        <FieldErrors id={`${id}-more-errors`} errors={errors.more ?? []} />
      </div>
    </div>
  );
}
