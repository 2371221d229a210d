// A sweep: quality against size, for the weights and for each exported file.
import { useState } from "preact/hooks";
import type { Report, SweepRow } from "./api";
import { Chart, type Series } from "./charts";
import { metricLabel, runtimeLabel, useFacts } from "./facts";
import { bytes, count, fixed, modelName, percent } from "./format";
import { Figures } from "./ui";

export function Sweep({ report }: { report: Report }) {
  const facts = useFacts();
  const rows = [...(report.sweep ?? [])].sort((a, b) => a.bytes - b.bytes);
  const metrics = rows[0]?.quality.map((row) => row.metric) ?? [];
  const [metric, setMetric] = useState(metrics[0] ?? "");
  const runtimes = [...new Set(rows.flatMap((row) => (row.exports ?? []).map((each) => each.runtime)))];
  const kept = (row: SweepRow) => row.quality.find((each) => each.metric === metric)?.retention;
  const exported = (row: SweepRow, runtime: string) => (row.exports ?? []).find((each) => each.runtime === runtime);
  const series: Series[] = [
    {
      label: "PyTorch weights",
      points: rows.flatMap((row) => (kept(row) === undefined ? [] : [{ x: row.bytes, y: kept(row)! * 100, name: report.target ? modelName(row.vocab_size, row.layers) : count(row.vocab_size) }])),
    },
    ...runtimes.map((runtime): Series => ({
      label: runtimeLabel(facts, runtime),
      points: rows.flatMap((row) => {
        const file = exported(row, runtime);
        const share = file?.quality.find((each) => each.metric === metric)?.retention;
        return file && share !== undefined ? [{ x: file.bytes, y: share * 100 }] : [];
      }),
    })),
    { label: "Base", colour: 5, marksOnly: true, points: [{ x: report.base.bytes, y: 100, name: "base" }] },
  ];
  return (
    <section class="card" aria-labelledby="sweep">
      <div class="section-head">
        <h2 id="sweep">Quality against size</h2>
        {metrics.length > 1 && (
          <label class="inline push"><span class="soft small">Measured by</span>
            <select value={metric} onChange={(event) => setMetric(event.currentTarget.value)}>
              {metrics.map((each) => <option key={each} value={each}>{metricLabel(facts, each)}</option>)}
            </select>
          </label>
        )}
      </div>
      <Chart title={`${metricLabel(facts, metric)}: share of the base's that is kept. Points are named by their tokens.`} series={series.filter((each) => each.points.length > 0)} xLabel="size of the file" yLabel="% kept" formatX={bytes} height={280} />
      <Figures
        caption="Each size that was made; in bold the one chosen"
        head={["Tokens", ...(report.target ? ["Layers"] : []), "Weights", "Tokens a text", "Kept", ...(report.gate ? ["Gate"] : []), ...(report.target ? ["Target"] : []), ...runtimes.map((each) => `${runtimeLabel(facts, each)}`)]}
        rows={rows.map((row) => ({
          key: row.path,
          class: row.path === "." ? "chosen" : undefined,
          cells: [
            count(row.vocab_size), ...(report.target ? [row.layers ? count(row.layers) : "all"] : []), bytes(row.bytes), fixed(row.per_text, 1), kept(row) === undefined ? "" : percent(kept(row)!),
            ...(report.gate ? [row.meets_gate ? "met" : "missed"] : []),
            ...(report.target ? [row.meets_target ? "met" : "missed"] : []),
            ...runtimes.map((each) => { const file = exported(row, each); return file ? bytes(file.bytes) : ""; }),
          ],
        }))}
      />
    </section>
  );
}
