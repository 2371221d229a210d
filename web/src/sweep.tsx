// Several models of a job: quality against size or time, a point each file, of which one is shown.
import { useEffect, useState } from "preact/hooks";
import { type ArtifactFile, asProblem, getJson, type Page, type ProblemError, type Report } from "./api";
import { Chart, type Series } from "./charts";
import { save } from "./download";
import { metricLabel, runtimeLabel, useFacts } from "./facts";
import { bytes, count, fixed, modelName, percent, short } from "./format";
import { BASELINE, best, type FrontPoint, frontOf, pickedOf } from "./front";
import { announce, Figures, Problem } from "./ui";

const OF_BASE = 5;

interface SweepProps {
  report: Report;
  jobId: string;
}

export function Sweep({ report, jobId }: SweepProps) {
  const facts = useFacts();
  const rows = [...(report.sweep ?? [])].sort((a, b) => a.bytes - b.bytes);
  const metrics = rows[0]?.quality.map((row) => row.metric) ?? [];
  const [metric, setMetric] = useState(report.target?.picked?.metric ?? metrics[0] ?? "");
  const [byTime, setByTime] = useState(false);
  const [key, setKey] = useState("");
  const batch = report.target?.batch_size ?? 1;
  const all = frontOf(report, metric);
  const isTimed = all.some((point) => point.ms !== null);
  const points = byTime ? all.filter((point) => point.ms !== null) : all;
  const cost = (point: FrontPoint) => (byTime ? point.ms! : point.bytes);
  const shown = points.find((point) => point.key === key) ?? pickedOf(report, points);
  const order = Object.keys(facts.runtimes);
  const runtimes = [...new Set(points.map((point) => point.runtime))].sort((a, b) => order.indexOf(a) - order.indexOf(b));
  const named = ({ row }: FrontPoint) => (report.target ? `${modelName(row.vocab_size, row.layers)}${row.layers ? "" : ", all layers"}` : modelName(row.vocab_size));
  const at = (point: FrontPoint, name?: string) => ({ x: cost(point), y: point.kept * 100, name });
  const before = report.latency.find((row) => row.batch_size === batch)?.before_ms;
  const baseX = byTime ? before : report.base.bytes;
  const series: Series[] = [
    { label: "Best in reach", colour: OF_BASE, dashed: true, lineOnly: true, points: best(points, cost).map((point) => at(point, named(point))) },
    ...runtimes.map((runtime, index): Series => ({
      label: runtimeLabel(facts, runtime), marksOnly: true, colour: index < OF_BASE ? index : index + 1,
      points: points.filter((point) => point.runtime === runtime).map((point) => at(point)),
    })),
    ...(baseX === undefined ? [] : [{ label: "Base", colour: OF_BASE, marksOnly: true, points: [{ x: baseX, y: 100, name: "base" }] }]),
  ];
  const exported = [...new Set(rows.flatMap((row) => (row.exports ?? []).map((each) => each.runtime)))];
  const kept = (of: (typeof rows)[number]) => of.quality.find((each) => each.metric === metric)?.retention;
  return (
    <section class="card" aria-labelledby="sweep">
      <div class="section-head">
        <h2 id="sweep">Quality against {byTime ? "time" : "size"}</h2>
        <div class="inline">
          {isTimed && (
            <label class="inline"><span class="soft small">By</span>
              <select value={byTime ? "time" : "size"} onChange={(event) => setByTime(event.currentTarget.value === "time")}>
                <option value="size">size of the file</option>
                <option value="time">{batch === 1 ? "ms a text" : `ms a batch of ${batch}`}</option>
              </select>
            </label>
          )}
          {metrics.length > 1 && (
            <label class="inline"><span class="soft small">Measured by</span>
              <select value={metric} onChange={(event) => setMetric(event.currentTarget.value)}>
                {metrics.map((each) => <option key={each} value={each}>{metricLabel(facts, each)}</option>)}
              </select>
            </label>
          )}
        </div>
      </div>
      <Chart
        title={`${metricLabel(facts, metric)}: share of the base's that is kept. A point is a file; pick one for its figures and its download.`}
        series={series.filter((each) => each.points.length > 0)}
        picking={{ marks: points.map((point) => ({ key: point.key, x: cost(point), y: point.kept * 100, label: `${named(point)}, ${runtimeLabel(facts, point.runtime)}: ${bytes(point.bytes)}, ${percent(point.kept)} kept` })), picked: shown?.key ?? "", onPick: setKey }}
        xLabel={byTime ? `ms a batch of ${batch}` : "size of the file"} yLabel="% kept" formatX={byTime ? short : bytes} height={300}
      />
      {shown && <Picked point={shown} others={points.filter((point) => point.row === shown.row)} name={named(shown)} metric={metric} batch={batch} jobId={jobId} onPick={setKey} />}
      <Figures
        caption="Each size that was made; in bold the one chosen"
        head={["Tokens", ...(report.target ? ["Layers"] : []), "Weights", "Tokens a text", "Kept", ...(report.gate ? ["Gate"] : []), ...(report.target ? ["Target"] : []), ...exported.map((each) => runtimeLabel(facts, each))]}
        rows={rows.map((row) => ({
          key: row.path,
          class: row.path === "." ? "chosen" : undefined,
          cells: [
            count(row.vocab_size), ...(report.target ? [row.layers ? count(row.layers) : "all"] : []), bytes(row.bytes), fixed(row.per_text, 1), kept(row) === undefined ? "" : percent(kept(row)!),
            ...(report.gate ? [row.meets_gate ? "met" : "missed"] : []),
            ...(report.target ? [row.meets_target ? "met" : "missed"] : []),
            ...exported.map((each) => { const file = (row.exports ?? []).find((one) => one.runtime === each); return file ? bytes(file.bytes) : ""; }),
          ],
        }))}
      />
    </section>
  );
}

interface PickedProps {
  point: FrontPoint;
  /** The files of the same model, which may lie at the same place of the plot. */
  others: FrontPoint[];
  name: string;
  metric: string;
  batch: number;
  jobId: string;
  onPick: (key: string) => void;
}

function Picked({ point, others, name, metric, batch, jobId, onPick }: PickedProps) {
  const facts = useFacts();
  const files = useFiles(jobId);
  const [problem, setProblem] = useState<ProblemError | null>(null);
  const own = filesOf(point, files ?? [], facts.runtimes);
  const take = (file: ArtifactFile) => {
    setProblem(null);
    save(file.url, file.path.split("/").pop()!, file.bytes, () => {}).then((begun) => begun && announce("The download has begun."), (error: unknown) => setProblem(asProblem(error)));
  };
  return (
    <div class="picked" role="group" aria-label="The point that is picked" aria-live="polite">
      <h3>{name} in {runtimeLabel(facts, point.runtime)}{point.row.path === "." && <span class="soft small"> · at the root of the result</span>}</h3>
      <dl>
        <div><dt>Size of the file</dt><dd>{bytes(point.bytes)}</dd></div>
        <div><dt>{metricLabel(facts, metric)}</dt><dd>{percent(point.kept)} kept</dd></div>
        {point.ms !== null && <div><dt>{batch === 1 ? "A text" : `A batch of ${batch}`}</dt><dd>{short(point.ms)} ms</dd></div>}
        <div><dt>Tokens a text</dt><dd>{fixed(point.row.per_text, 1)}</dd></div>
        {point.misses && <div><dt>Target</dt><dd>{point.misses.length === 0 ? "met" : `missed: ${point.misses.join("; ")}`}</dd></div>}
      </dl>
      {problem && <Problem problem={problem} />}
      <div class="actions">
        {own.map((file) => <button key={file.path} type="button" onClick={() => take(file)}>Download {file.path.split("/").pop()}, {bytes(file.bytes)}</button>)}
      </div>
      {others.length > 1 && (
        <p class="small soft">The same model in {others.filter((each) => each.key !== point.key).map((each, index) => (
          <span key={each.key}>{index > 0 && ", "}<button type="button" class="link" onClick={() => onPick(each.key)}>{runtimeLabel(facts, each.runtime)}</button></span>
        ))}</p>
      )}
    </div>
  );
}

function useFiles(jobId: string): ArtifactFile[] | null {
  const [files, setFiles] = useState<ArtifactFile[] | null>(null);
  useEffect(() => {
    getJson<Page<ArtifactFile>>(`/v1/jobs/${jobId}/artifacts`).then(({ data }) => setFiles(data), () => setFiles([]));
  }, [jobId]);
  return files;
}

type Runtimes = Record<string, { paths: string[] }>;

/** The files of a model for a runtime, and the tokenizer beside it. */
function filesOf(point: FrontPoint, files: ArtifactFile[], runtimes: Runtimes): ArtifactFile[] {
  const folder = point.row.path === "." ? "" : `${point.row.path}/`;
  const inFolder = files.filter((file) => file.path.startsWith(folder) && (folder || !file.path.startsWith("sizes/")));
  const wanted = runtimes[point.runtime]?.paths ?? [];
  const found = inFolder.filter((file) => wanted.includes(file.path.slice(folder.length)));
  if (found.length > 0 || point.runtime !== BASELINE) return withTokenizer(found, inFolder, folder);
  // The weights of some sentence encoders lie in a folder of their first module.
  const others = Object.entries(runtimes).flatMap(([name, row]) => (name === BASELINE ? [] : row.paths));
  const weights = inFolder.filter((file) => file.path.endsWith(".safetensors") && !others.includes(file.path.slice(folder.length)));
  return withTokenizer(weights, inFolder, folder);
}

function withTokenizer(found: ArtifactFile[], inFolder: ArtifactFile[], folder: string): ArtifactFile[] {
  if (found.length === 0 || found.some((file) => file.path.endsWith("/tokenizer.json"))) return found;
  const depth = (file: ArtifactFile) => file.path.split("/").length;
  const tokenizers = inFolder.filter((file) => /(^|\/)tokenizer\.json$/.test(file.path) && !file.path.startsWith(`${folder}static/`));
  return [...found, ...tokenizers.sort((a, b) => depth(a) - depth(b)).slice(0, 1)];
}
