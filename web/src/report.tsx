// The report of a result, drawn from report.json.
import type { Facts, LossPoint, Report } from "./api";
import { metricLabel, runtimeLabel, useFacts } from "./facts";
import { bytes, count, duration, fixed, millions, modelName, percent, short } from "./format";
import { LossChart } from "./loss";
import { Sweep } from "./sweep";
import { Figures } from "./ui";

/** A speed-up nearer to 1 than this is within what two runs differ by. */
const NOTABLE_SPEEDUP = 1.1;
const NOTABLE_LOSS = 0.05;

interface ReportViewProps {
  report: Report;
  jobId: string;
  losses: Map<string, LossPoint[]>;
}

export function ReportView({ report, jobId, losses: told }: ReportViewProps) {
  const facts = useFacts();
  const { base, compressed, tokens, recovery } = report;
  const sweep = report.sweep ?? [];
  // The events tell of all sizes; the report, which may come from elsewhere, of its own.
  const losses = told.size > 0 || !recovery?.loss?.length ? told : new Map([[modelName(compressed.vocab_size), recovery.loss]]);
  // A report of an earlier version says no verdict; one of this version says what it rests on too.
  const warnings = [...(report.verdict ? [] : cutShort(report)), ...worse(report, facts), ...(recovery?.warning ? [recovery.warning] : []), ...(report.warnings ?? [])];
  return (
    <>
      <section class="verdict" aria-labelledby="verdict">
        <h2 id="verdict" class="sr-only">Verdict</h2>
        <p class="lead">{report.verdict || verdict(report, facts)}</p>
        <p class="soft small">Measured on {count(tokens.texts)} held-out texts of {count(report.corpus.documents)} documents.{sweep.length > 1 && ` Of ${sweep.length} sizes, this is the one of ${count(compressed.vocab_size)} tokens.`}</p>
        {warnings.map((warning) => <p key={warning} class="note warn">{warning}</p>)}
        {report.target && <p class={`note${report.target.picked ? "" : " bad"}`}><strong>{report.target.picked ? "The target is met." : "The target is not met."}</strong> {report.target.reason}</p>}
        {report.gate?.misses.map((miss) => <p key={miss} class="note bad">{miss}</p>)}
      </section>
      {sweep.length > 0 && (sweep.length > 1 || report.target) && <Sweep report={report} jobId={jobId} />}
      <div class="pair">
        <section class="card" aria-label="Quality">
          <Figures caption="Quality" head={["", "Base", "Compressed", "Kept"]} rows={report.quality.map((row) => ({
            key: row.metric,
            cells: [metricLabel(facts, row.metric), short(row.before), short(row.after), <strong>{percent(row.retention)}</strong>],
          }))} />
        </section>
        <section class="card" aria-label="Size">
          <Figures caption="Size" head={["", "Base", "Compressed", "Share"]} rows={[
            sizeRow("Weights", base.bytes, compressed.bytes, bytes),
            sizeRow("Parameters", base.parameters, compressed.parameters, millions),
            sizeRow("of them embeddings", base.embedding_parameters, compressed.embedding_parameters, millions),
            sizeRow("Vocabulary", base.vocab_size, compressed.vocab_size, count),
            sizeRow("Tokens a text", tokens.per_text_before, tokens.per_text_after, (value) => fixed(value, 1)),
            { key: "unknown", cells: ["Unknown tokens", percent(tokens.unk_rate_before, 2), percent(tokens.unk_rate_after, 2), ""] },
          ]} />
        </section>
        {report.latency.length > 0 && (
          <section class="card" aria-label="Speed">
            <Figures caption="Milliseconds a batch, with tokenization" head={["", "Texts", "Base", "Compressed", "Speed"]} rows={report.latency.map((row, index) => ({
              key: String(index),
              cells: [`${runtimeLabel(facts, row.runtime)}, ${row.device}`, count(row.batch_size), short(row.before_ms), short(row.after_ms), `${fixed(row.speedup, 2)}×`],
            }))} />
          </section>
        )}
        {(report.exports ?? []).length > 0 && (
          <section class="card" aria-label="Exported files">
            <Figures caption="Exported files" head={["", "Size", "Quality kept"]} rows={report.exports!.map((row) => {
              // Not every file has a score of the task: another metric in its place would be read as one.
              const first = row.quality.find((each) => each.metric === report.quality[0]?.metric);
              return {
                key: row.path,
                cells: [<>{runtimeLabel(facts, row.runtime)} <code class="soft small">{row.path}</code></>, bytes(row.bytes), first ? percent(first.retention) : ""],
              };
            })} />
          </section>
        )}
      </div>
      {losses.size > 0 && (
        <section class="card" aria-label="Training">
          <LossChart losses={losses} />
          {recovery && recovery.steps! > 0 && (
            <p class="soft small">
              {facts.objectives[recovery.used ?? ""] ?? recovery.used}: {count(recovery.steps!)} of {count(recovery.planned_steps!)} planned steps in {duration(recovery.seconds ?? 0)} on {recovery.device}
              {recovery.stopped_by && `, ended by ${recovery.stopped_by.replaceAll("_", " ")}`}; the weights of step {count(recovery.kept_step!)} are kept. {sentence(recovery.reason ?? "")}
            </p>
          )}
        </section>
      )}
      <Examples report={report} />
    </>
  );
}

function sizeRow(label: string, before: number, after: number, format: (value: number) => string) {
  return { key: label, cells: [label, format(before), format(after), before > 0 ? percent(after / before, 0) : ""] };
}

/** What the result is, in one sentence of measured figures. */
export function verdict(report: Report, facts: Facts): string {
  const { base, compressed, latency, quality, tokens } = report;
  const ratio = base.bytes / compressed.bytes;
  const parts = [ratio >= 1.02 ? `${fixed(ratio, 1)}× smaller` : "about as large"];
  const single = latency.find((row) => row.batch_size === 1);
  if (single && single.speedup >= NOTABLE_SPEEDUP) parts.push(`${fixed(single.speedup, 1)}× faster at one text`);
  if (tokens.per_text_after < tokens.per_text_before * 0.98) parts.push(`reads a text in ${percent(1 - tokens.per_text_after / tokens.per_text_before, 0)} fewer tokens`);
  const first = quality[0];
  const kept = first ? `; it keeps ${percent(first.retention)} of the base's quality (${lowerFirst(metricLabel(facts, first.metric))})` : "";
  return `The new model is ${joined(parts)}${kept}.`;
}

function joined(parts: string[]): string {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

function lowerFirst(text: string): string {
  return /^[A-Z][a-z]/.test(text) ? text[0]!.toLowerCase() + text.slice(1) : text;
}

function cutShort({ recovery }: Report): string[] {
  const { steps = 0, planned_steps: planned = 0, stopped_by: why } = recovery ?? {};
  if (why === "held_out_loss" || steps >= planned) return [];
  return [`The training was cut short: ${count(steps)} of ${count(planned)} planned steps${why ? `, by ${why.replaceAll("_", " ")}` : ""}. With more time the model may keep more.`];
}

/** What the verdict does not say and a reader would want to know. */
function worse({ quality, latency }: Report, facts: Facts): string[] {
  const found: string[] = [];
  const [first, ...others] = quality;
  const least = others.reduce((low, row) => (row.retention < low.retention ? row : low), first!);
  if (first && least.retention < first.retention - NOTABLE_LOSS) {
    found.push(`Other measures keep less: ${lowerFirst(metricLabel(facts, least.metric))}, ${percent(least.retention)}.`);
  }
  const slow = latency.find((row) => row.batch_size === 1 && row.speedup < 1 / NOTABLE_SPEEDUP);
  if (slow) found.push(`At one text ${runtimeLabel(facts, slow.runtime)} is slower than the base: ${fixed(slow.speedup, 2)}× its speed.`);
  return found;
}

function sentence(text: string): string {
  return text && `${text[0]!.toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}

function Examples({ report }: { report: Report }) {
  const examples = report.examples ?? [];
  if (examples.length === 0) return null;
  return (
    <details class="card">
      <summary>Texts cut into tokens, before and after</summary>
      {examples.map((example, index) => (
        <div key={index} class="example">
          <h3>{example.saved}</h3>
          <TokenLine label={`base, ${example.before.length}`} tokens={example.before} />
          <TokenLine label={`compressed, ${example.after.length}`} tokens={example.after} />
        </div>
      ))}
    </details>
  );
}

function TokenLine({ label, tokens }: { label: string; tokens: string[] }) {
  return <p class="tokens"><span class="soft small">{label}</span> {tokens.map((token, index) => <span key={index}><code>{token}</code> </span>)}</p>;
}
