// The texts: dropped, chosen or uploaded before, and shown as they were read.
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { asProblem, type Corpus, getJson, type Page, ProblemError, remove } from "./api";
import { bytes, count, moment, percent, plural } from "./format";
import { announce, FieldErrors } from "./ui";
import { type ReadingOptions, type Upload, uploadCorpus } from "./upload";

const FORMATS = ["text", "jsonl", "json", "csv", "tsv", "parquet"];
const AS_FOUND: ReadingOptions = { format: "", textField: "" };
/** Text is one document a line: a longer one is often a file with one line a paragraph. */
const FEW = 100;

interface CorpusPickerProps {
  corpus: Corpus | null;
  onChange: (corpus: Corpus | null) => void;
  onFile: (file: File | null, options: ReadingOptions) => void;
  errors: string[];
}

export function CorpusPicker({ corpus, onChange, onFile, errors }: CorpusPickerProps) {
  const id = useId();
  const [earlier, setEarlier] = useState<Corpus[]>([]);
  const [over, setOver] = useState(false);
  const [fraction, setFraction] = useState<number | null>(null);
  const [problem, setProblem] = useState<ProblemError | null>(null);
  const [file, setFile] = useState<File | null>(null);
  const [options, setOptions] = useState<ReadingOptions>(AS_FOUND);
  const upload = useRef<Upload | null>(null);
  const input = useRef<HTMLInputElement>(null);

  useEffect(() => {
    getJson<Page<Corpus>>("/v1/corpora?limit=50").then(
      ({ data }) => setEarlier(data.filter((each) => each.format !== "records")),
      () => {},
    );
    return () => upload.current?.abort();
  }, []);

  const send = async (chosen: File, reading: ReadingOptions) => {
    upload.current?.abort();
    const replaced = file && corpus;
    setFile(chosen);
    setProblem(null);
    onChange(null);
    if (chosen.size === 0) {
      setFraction(null);
      return setProblem(new ProblemError(0, "empty", `${chosen.name} is empty. Choose a file with texts.`));
    }
    onFile(chosen, reading);
    setFraction(0);
    announce(`Uploading ${chosen.name}`);
    const started = uploadCorpus(chosen, reading, setFraction);
    upload.current = started;
    try {
      const made = await started.done;
      if (upload.current !== started) return;
      setFraction(null);
      onChange(made);
      announce(`${chosen.name} is uploaded: ${plural(made.documents, "document")}`);
      setEarlier((before) => [made, ...before.filter((each) => each.id !== replaced?.id)]);
      // The same file as it was read before; a job that reads it keeps it.
      if (replaced && replaced.sha256 === made.sha256) await remove(`/v1/corpora/${replaced.id}`).catch(() => {});
    } catch (error) {
      if (upload.current !== started) return;
      setFraction(null);
      onFile(null, reading);
      const failed = asProblem(error);
      if (failed.code !== "upload_stopped") setProblem(failed);
    }
  };
  const stop = () => {
    upload.current?.abort();
    announce("The upload is stopped.");
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length > 1) return setProblem(new ProblemError(0, "several", "Drop one file at a time: a job reads one corpus. Put several files together first."));
    if (files[0]) take(files[0]);
  };
  const take = (chosen: File) => {
    setOptions(AS_FOUND);
    void send(chosen, AS_FOUND);
  };

  return (
    <div class="field">
      <div
        class={`drop ${over ? "over" : ""} ${corpus || fraction !== null ? "filled" : ""}`}
        onDragOver={(event) => { event.preventDefault(); setOver(true); }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <input
          ref={input} id={`${id}-file`} type="file" class="sr-only" aria-describedby={`${id}-hint ${id}-errors`}
          aria-invalid={errors.length > 0 || problem ? "true" : undefined}
          onChange={(event) => { const chosen = event.currentTarget.files?.[0]; event.currentTarget.value = ""; if (chosen) take(chosen); }}
        />
        <label for={`${id}-file`} class="button">Choose a file</label>
        <span class="soft">or drop it here</span>
      </div>
      <p id={`${id}-hint`} class="soft small hint">Text with one document a line, JSON lines, JSON, CSV, TSV or Parquet; plain, gzip or zstd. No labels are needed.</p>
      {earlier.length > 0 && fraction === null && (
        <div class="inline earlier">
          <label for={`${id}-earlier`} class="soft small">Uploaded before</label>
          <select id={`${id}-earlier`} value={corpus?.id ?? ""} onChange={(event) => { const found = earlier.find((each) => each.id === event.currentTarget.value); setFile(null); setProblem(null); onFile(null, AS_FOUND); onChange(found ?? null); }}>
            <option value="">none</option>
            {earlier.map((each) => <option key={each.id} value={each.id}>{each.name ?? each.id} · {plural(each.documents, "document")} · {moment(each.created_at)}</option>)}
          </select>
        </div>
      )}
      {fraction !== null && file && (
        <div class="progress">
          <progress max={1} value={fraction} aria-label={`Upload of ${file.name}`} />
          <div class="progress-line">
            <span class="figure">{Math.floor(fraction * 100)} %</span>
            <span class="clip">{file.name}</span>
            <span class="push soft">{fraction < 1 ? `of ${bytes(file.size)}` : "being read"}</span>
            <button type="button" class="quiet" onClick={stop}>Stop</button>
          </div>
        </div>
      )}
      <FieldErrors id={`${id}-errors`} errors={[...errors, ...(problem ? [problem.message] : [])]} />
      {corpus && <Preview corpus={corpus} />}
      {file && (corpus || problem) && (
        <Reading options={options} onRead={(wanted) => { setOptions(wanted); void send(file, wanted); }} open={problem !== null} />
      )}
    </div>
  );
}

function Preview({ corpus }: { corpus: Corpus }) {
  const read = [corpus.format, corpus.compression, corpus.encoding, corpus.delimiter && `delimiter ${JSON.stringify(corpus.delimiter)}`, corpus.text_field && `text of “${corpus.text_field}”`];
  const rows = corpus.documents + corpus.skipped;
  return (
    <section class="preview" aria-label="The documents as read">
      <p class="small"><strong>{plural(corpus.documents, "document")}</strong> · {bytes(corpus.bytes)} · {count(Math.round(corpus.characters / Math.max(1, corpus.documents)))} characters each · read as {read.filter(Boolean).join(", ")}</p>
      <ol>
        {corpus.preview.slice(0, 4).map((text, index) => <li key={index}><span class="clamp">{text}</span></li>)}
      </ol>
      {corpus.skipped > 0 && (
        <p class="note warn small">{plural(corpus.skipped, "row")} ({percent(corpus.skipped / rows)}) without text {corpus.skipped === 1 ? "is" : "are"} passed over, first at line {corpus.skipped_lines.slice(0, 5).map(count).join(", ")}.</p>
      )}
      {corpus.documents < FEW && (
        <p class="note warn small">These are few documents: figures measured on them will be rough. Each line or row should be one document.</p>
      )}
    </section>
  );
}

interface ReadingProps {
  options: ReadingOptions;
  onRead: (options: ReadingOptions) => void;
  open: boolean;
}

function Reading({ options, onRead, open }: ReadingProps) {
  const id = useId();
  const [wanted, setWanted] = useState(options);
  return (
    <details open={open}>
      <summary>Read it another way</summary>
      <div class="inline">
        <label for={`${id}-format`}>Format</label>
        <select id={`${id}-format`} value={wanted.format} onChange={(event) => setWanted({ ...wanted, format: event.currentTarget.value })}>
          <option value="">as found</option>
          {FORMATS.map((format) => <option key={format} value={format}>{format}</option>)}
        </select>
        <label for={`${id}-field`}>Field with the text</label>
        <input id={`${id}-field`} type="text" size={12} value={wanted.textField} placeholder="as found" onInput={(event) => setWanted({ ...wanted, textField: event.currentTarget.value })} />
        <button type="button" onClick={() => onRead(wanted)}>Read again</button>
      </div>
    </details>
  );
}
