// Two results side by side.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { asProblem, type Facts, getJson, type Job, type ProblemError, type Report } from "./api";
import { Chart } from "./charts";
import { metricLabel, runtimeLabel, useFacts } from "./facts";
import { askedFor, bytes, count, duration, fixed, millions, percent } from "./format";
import { jobTitle } from "./jobs";
import { Figures, Problem, ViewTitle } from "./ui";

interface Side {
  job: Job;
  report: Report;
}

export function ComparePage({ first, second }: { first: string; second: string }) {
  const facts = useFacts();
  const [sides, setSides] = useState<[Side, Side] | null>(null);
  const [problem, setProblem] = useState<ProblemError | null>(null);
  useEffect(() => {
    Promise.all([readSide(first), readSide(second)]).then(setSides, (error: unknown) => setProblem(asProblem(error)));
  }, [first, second]);
  return (
    <main id="main" class="wide">
      <ViewTitle title="Two jobs compared" />
      {problem && !problem.needsKey && <><Problem problem={problem} title="These cannot be compared." /><p><a href="#/jobs">Choose two jobs with results</a></p></>}
      {problem?.needsKey && <p class="soft">The jobs are shown once you have given a key.</p>}
      {!sides && !problem && <p class="soft">Reading both reports…</p>}
      {sides && <Comparison sides={sides} facts={facts} />}
    </main>
  );
}

async function readSide(id: string): Promise<Side> {
  const path = `/v1/jobs/${encodeURIComponent(id)}`;
  const [job, report] = await Promise.all([getJson<Job>(path), getJson<Report>(`${path}/report`)]);
  return { job, report };
}

type Line = [label: string, of: (side: Side) => ComponentChildren];

function Comparison({ sides: [a, b], facts }: { sides: [Side, Side]; facts: Facts }) {
  const sameCorpus = a.report.corpus.sha256 === b.report.corpus.sha256;
  const sameBase = a.report.base_model.id === b.report.base_model.id;
  const names = jobTitle(a.job) === jobTitle(b.job) ? [`A: ${jobTitle(a.job)}`, `B: ${jobTitle(b.job)}`] : [jobTitle(a.job), jobTitle(b.job)];
  const metrics = [...new Set([a, b].flatMap((side) => side.report.quality.map((row) => row.metric)))];
  const latencies = [...new Set([a, b].flatMap((side) => side.report.latency.map((row) => `${row.runtime.split(" ")[0]} ${row.batch_size}`)))];
  const lines: Line[] = [
    ["Base model", (side) => side.report.base_model.id],
    ["Sizes asked for", (side) => askedFor(side.job.recipe)],
    ["Vocabulary", (side) => `${count(side.report.compressed.vocab_size)} tokens`],
    ["Weights", (side) => bytes(side.report.compressed.bytes)],
    ["Parameters", (side) => millions(side.report.compressed.parameters)],
    ["Tokens a text", (side) => fixed(side.report.tokens.per_text_after, 1)],
    ["Unknown tokens", (side) => percent(side.report.tokens.unk_rate_after, 2)],
    ...metrics.map((metric): Line => [`Kept: ${metricLabel(facts, metric)}`, (side) => {
      const row = side.report.quality.find((each) => each.metric === metric);
      return row ? percent(row.retention) : "not measured";
    }]),
    ...latencies.map((key): Line => {
      const [runtime = "", batch] = key.split(" ");
      return [`${runtimeLabel(facts, runtime)}, ${batch === "1" ? "one text" : `${batch} texts`}`, (side) => {
        const row = side.report.latency.find((each) => `${each.runtime.split(" ")[0]} ${each.batch_size}` === key);
        return row ? `${fixed(row.after_ms, 1)} ms, ${fixed(row.speedup, 2)}×` : "not measured";
      }];
    }),
    ["Training", (side) => `${side.report.recovery?.used ?? "none"}, ${count(side.report.recovery?.steps ?? 0)} steps`],
    ["Time", (side) => duration(side.report.stages.reduce((sum, stage) => sum + stage.seconds, 0))],
  ];
  const metric = metrics[0];
  const points = (side: Side) => {
    const rows = side.report.sweep?.length ? side.report.sweep : [{ ...side.report.compressed, quality: side.report.quality }];
    return rows.flatMap((row) => {
      const found = row.quality.find((each) => each.metric === metric);
      return found ? [{ x: row.bytes, y: found.retention * 100, name: count(row.vocab_size) }] : [];
    });
  };
  return (
    <>
      {!sameBase && <p class="note warn">The two have different base models: each share is of its own base.</p>}
      {!sameCorpus && <p class="note warn">The two were made for different texts, and measured on them: their figures do not compare directly.</p>}
      <p>{[a, b].map((side, index) => <span key={side.job.id}>{index > 0 && " and "}<a href={`#/jobs/${side.job.id}`}>{names[index]}</a></span>)}</p>
      <section class="card compared" aria-label="Figures">
        <Figures caption="What differs is in bold" head={["", ...names]} rows={lines.map(([label, of]) => {
          const [left, right] = [of(a), of(b)];
          return { key: label, cells: [label, left, right], class: left === right ? undefined : "chosen" };
        })} />
      </section>
      {metric && (
        <section class="card" aria-label="Quality against size">
          <Chart title={`${metricLabel(facts, metric)}: share of the base's that is kept, by the bytes of the weights`} xLabel="size of the weights" yLabel="% kept" formatX={bytes}
            series={[a, b].map((side, index) => ({ label: names[index]!, marksOnly: points(side).length < 2, points: points(side) }))} />
        </section>
      )}
    </>
  );
}
