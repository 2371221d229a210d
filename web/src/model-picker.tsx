// The base model: a search field over the models of this installation, or any id of the hub.
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import { asProblem, type BaseModel, getJson, type Page, type ProblemError } from "./api";
import { useFacts } from "./facts";
import { bytes, count, millions } from "./format";
import { FieldErrors, Problem } from "./ui";

interface ModelPickerProps {
  value: string;
  onChange: (id: string, model: BaseModel | null) => void;
  errors: string[];
}

export function ModelPicker({ value, onChange, errors }: ModelPickerProps) {
  const id = useId();
  const facts = useFacts();
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const [models, setModels] = useState<BaseModel[]>([]);
  const [problem, setProblem] = useState<ProblemError | null>(null);
  const [text, setText] = useState(value);
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(-1);

  useEffect(() => {
    getJson<Page<BaseModel>>("/v1/base-models").then(({ data }) => {
      setModels(data);
      const usable = data.filter((model) => model.usable !== false);
      // With one model there is nothing to choose.
      if (usable.length === 1 && !value) choose(usable[0]!);
    }, (error: unknown) => setProblem(asProblem(error)));
  }, []);
  useEffect(() => setText(value), [value]);

  const shown = useMemo(() => {
    const words = text === value ? [] : text.toLowerCase().split(/\s+/).filter(Boolean);
    const found = models.filter((model) => words.every((word) => `${model.id} ${model.model_type ?? ""}`.toLowerCase().includes(word)));
    return found.sort((a, b) => Number(a.usable === false) - Number(b.usable === false));
  }, [models, text, value]);
  const chosen = models.find((model) => model.id === value) ?? null;

  const choose = (model: BaseModel) => {
    if (model.usable === false) return;
    setText(model.id);
    setOpen(false);
    setActive(-1);
    onChange(model.id, model);
  };
  const take = (typed: string) => {
    const id = typed.trim();
    if (id !== value) onChange(id, models.find((model) => model.id === id) ?? null);
  };
  const move = (to: number) => {
    const next = Math.max(0, Math.min(shown.length - 1, to));
    setActive(next);
    list.current?.children[next]?.scrollIntoView({ block: "nearest" });
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      move(active + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter") {
      const model = open ? shown[active] : undefined;
      if (open) event.preventDefault();
      if (model) choose(model);
      else {
        take(text);
        setOpen(false);
      }
    } else if (event.key === "Escape") setOpen(false);
  };

  return (
    <div class="field">
      <label for={`${id}-input`}>Base model</label>
      <div class="combo">
        <input
          ref={input} id={`${id}-input`} type="text" role="combobox" value={text} autocomplete="off" spellcheck={false}
          aria-autocomplete="list" aria-expanded={open} aria-controls={`${id}-list`}
          aria-activedescendant={open && active >= 0 ? `${id}-${active}` : undefined}
          aria-invalid={errors.length > 0 ? "true" : undefined}
          aria-describedby={`${id}-errors ${id}-hint`}
          placeholder={facts.hub ? "Search, or type an id of the hub: org/name" : "Search the models of this installation"}
          onClick={() => setOpen(true)}
          onInput={(event) => { setText(event.currentTarget.value); setOpen(true); setActive(-1); }}
          onKeyDown={onKey}
          onBlur={() => { setOpen(false); take(text); }}
        />
        <ul ref={list} id={`${id}-list`} role="listbox" aria-label="Base models" hidden={!open || shown.length === 0}>
          {shown.map((model, index) => (
            <li
              key={model.id} id={`${id}-${index}`} role="option" aria-selected={model.id === value}
              aria-disabled={model.usable === false} class={index === active ? "active" : undefined}
              // Before the field loses the focus and the list closes.
              onMouseDown={(event) => { event.preventDefault(); choose(model); }}
            >
              <span class="name">{model.id}</span>
              <span class="soft small">
                {model.usable === false ? model.problem?.message : describe(model)}
              </span>
            </li>
          ))}
        </ul>
      </div>
      {!value && models.length > 0 && (
        <div class="quick" role="group" aria-label="Models on this machine">
          {models.filter((model) => model.usable !== false).slice(0, 3).map((model) => (
            <button key={model.id} type="button" onClick={() => choose(model)}>
              <span>{model.id}</span><span class="soft small">{describe(model)}</span>
            </button>
          ))}
        </div>
      )}
      <div id={`${id}-hint`} class="soft small hint">
        {chosen ? describe(chosen) : value && models.length > 0 ? (facts.hub ? "Not on this machine: it will be fetched from the Hugging Face hub." : "No model of this installation has this id.") : ""}
      </div>
      <FieldErrors id={`${id}-errors`} errors={errors} />
      {problem && !problem.needsKey && <Problem problem={problem} title="The models cannot be listed." />}
    </div>
  );
}

function describe(model: BaseModel): string {
  const parts = [model.model_type ?? ""];
  if (model.parameters != null) parts.push(`${millions(model.parameters)} parameters`);
  if (model.bytes != null) parts.push(bytes(model.bytes));
  if (model.vocab_size != null) parts.push(`${count(model.vocab_size)} tokens`);
  return parts.filter(Boolean).join(" · ");
}
