// The list of jobs; those that run are followed as they go.
import { useCallback, useEffect, useState } from "preact/hooks";
import { asProblem, getJson, type Job, type Page, type ProblemError } from "./api";
import { LossChart } from "./loss";
import { askedFor, bytes, count, duration, fixed, moment, percent, plural, recipeSizes } from "./format";
import { ACTIVE, isActive, useLiveJob } from "./live";
import { announce, elapsedSeconds, JobProgress, Pill, Problem, ViewTitle } from "./ui";

const STATES = ["", "queued", "running", "cancelling", "succeeded", "failed", "cancelled"];
/** Browsers open six connections to a host, of which a stream keeps one. */
const MOST_STREAMS = 3;
const LOOK_AGAIN_MS = 5000;

export function JobsPage() {
  const [status, setStatus] = useState("");
  const [marked, setMarked] = useState<string[]>([]);
  const mark = (id: string) => setMarked((before) => (before.includes(id) ? before.filter((each) => each !== id) : [...before.slice(-1), id]));
  return (
    <main id="main" class="wide">
      <div class="section-head">
        <ViewTitle title="Jobs" />
        <label class="inline push"><span class="soft">Show</span>
          <select value={status} onChange={(event) => setStatus(event.currentTarget.value)}>
            {STATES.map((each) => <option key={each} value={each}>{each || "all"}</option>)}
          </select>
        </label>
        {marked.length === 2
          ? <a class="button primary" href={`#/compare?a=${marked[0]}&b=${marked[1]}`}>Compare the two</a>
          : <span class="soft small">Mark two results to compare them{marked.length === 1 && ": one more"}</span>}
      </div>
      <JobList key={status} limit={20} status={status} marked={marked} onMark={mark} />
    </main>
  );
}

interface JobListProps {
  limit: number;
  status?: string;
  marked?: string[];
  onMark?: (id: string) => void;
}

export function JobList({ limit, status = "", marked, onMark }: JobListProps) {
  const [jobs, setJobs] = useState<Job[] | null>(null);
  const [more, setMore] = useState(false);
  const [wanted, setWanted] = useState(limit);
  const [problem, setProblem] = useState<ProblemError | null>(null);

  const read = useCallback(async () => {
    try {
      const page = await readJobs(wanted, status);
      setJobs(page.data);
      setMore(page.has_more);
      setProblem(null);
    } catch (error) {
      setProblem(asProblem(error));
    }
  }, [wanted, status]);
  useEffect(() => {
    void read();
  }, [read]);
  const waits = problem ? !problem.needsKey : !!jobs;
  useEffect(() => {
    // Nothing is asked while nobody looks, nor again where a key is missing.
    const timer = setInterval(() => { if (waits && !document.hidden) void read(); }, LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [waits, read]);

  if (problem?.needsKey) return <p class="soft">The jobs are shown once you have given a key.</p>;
  if (!jobs) return problem ? <Problem problem={problem} /> : <p class="soft">Reading the jobs…</p>;
  const followed = new Set(jobs.filter((job) => ACTIVE.has(job.status)).reverse().sort((a, b) => Number(a.status === "queued") - Number(b.status === "queued")).slice(0, MOST_STREAMS).map((job) => job.id));
  return (
    <>
      {problem && <Problem problem={problem} />}
      {jobs.length === 0 && <p class="soft empty">{status ? `No job is ${status}.` : "There are no jobs yet. The first one begins above, with a model and a file of texts."}</p>}
      <ul class="jobs">
        {jobs.map((job) => {
          const shared = { job, marked: marked?.includes(job.id), onMark };
          return followed.has(job.id) ? <LiveRow key={`${job.id} live`} {...shared} onEnd={read} /> : <Row key={job.id} {...shared} />;
        })}
      </ul>
      {more && onMark && <button type="button" onClick={() => setWanted(wanted + limit)}>Show older jobs</button>}
    </>
  );
}

async function readJobs(wanted: number, status: string): Promise<Page<Job>> {
  const found: Job[] = [];
  let after = "";
  for (;;) {
    const query = new URLSearchParams({ limit: String(Math.min(100, wanted - found.length)) });
    if (status) query.set("status", status);
    if (after) query.set("after", after);
    const page = await getJson<Page<Job>>(`/v1/jobs?${query}`);
    found.push(...page.data);
    after = found.at(-1)?.id ?? "";
    if (!page.has_more || found.length >= wanted) return { data: found, has_more: page.has_more };
  }
}

interface RowProps {
  job: Job;
  marked?: boolean;
  onMark?: (id: string) => void;
}

function LiveRow({ onEnd, ...row }: RowProps & { onEnd: () => void }) {
  const live = useLiveJob(row.job.id, row.job, (job) => {
    announce(`${jobTitle(job)}: ${job.status}`);
    onEnd();
  });
  return <Row {...row} job={live.job ?? row.job} losses={live.losses} />;
}

function Row({ job, marked, onMark, losses }: RowProps & { losses?: ReturnType<typeof useLiveJob>["losses"] }) {
  const elapsed = elapsedSeconds(job, 0);
  const points = [...(losses?.values() ?? [])].some((each) => each.length > 1);
  return (
    <li class="job">
      {onMark && (
        <label class="mark-job"><input type="checkbox" checked={marked} disabled={!job.artifact} onChange={() => onMark(job.id)} /><span class="sr-only">Compare {jobTitle(job)}</span></label>
      )}
      <div class="what">
        <a href={`#/jobs/${job.id}`} class="title">{jobTitle(job)}</a>
        <div class="soft small">{[job.name && job.base_model, askedFor(job.recipe), moment(job.created_at)].filter(Boolean).join(" · ")}</div>
        <code class="soft id">{job.id}</code>
      </div>
      <Pill status={job.status} />
      <div class="how">
        {isActive(job) ? <JobProgress job={job} label={`Progress of ${jobTitle(job)}`} /> : <Outcome job={job} />}
        {elapsed !== null && !isActive(job) && <div class="soft small">took {duration(elapsed)}</div>}
        {points && <LossChart losses={losses!} small />}
      </div>
    </li>
  );
}

export function jobTitle(job: Job): string {
  return job.name ?? job.base_model;
}

function Outcome({ job }: { job: Job }) {
  if (job.error) return <div class="clamp">{job.error.message}</div>;
  const result = job.result as Partial<Headline> | null;
  if (!result?.bytes_after || !result.bytes_before) return null;
  const quality = Object.values(result.quality ?? {})[0];
  return (
    <div>
      <strong>{bytes(result.bytes_after)}</strong>, {fixed(result.bytes_before / result.bytes_after, 1)}× smaller
      {quality !== undefined && <>, keeps <strong>{percent(quality)}</strong></>}
      {result.vocab_size_after && <span class="soft"> · {count(result.vocab_size_after)} tokens{recipeSizes(job.recipe).length > 1 && `, of ${plural(recipeSizes(job.recipe).length, "size")}`}</span>}
    </div>
  );
}

interface Headline {
  vocab_size_after: number;
  bytes_before: number;
  bytes_after: number;
  quality: Record<string, number>;
}
