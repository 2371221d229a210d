// One job: how far it is, what it learned, its report, and what can be done with it.
import { useEffect, useState } from "preact/hooks";
import { type ArtifactFile, asProblem, getJson, type Job, type Page, postJson, ProblemError, remove, type Report } from "./api";
import { save } from "./download";
import { askedFor, bytes, duration, moment, plural } from "./format";
import { jobTitle } from "./jobs";
import { isActive, type Live, useLiveJob } from "./live";
import { LossChart } from "./loss";
import { ReportView } from "./report";
import { announce, Confirm, elapsedSeconds, JobProgress, Pill, Problem, useClock, ViewTitle } from "./ui";

export function JobPage({ jobId }: { jobId: string }) {
  const live = useLiveJob(jobId, null, (job) => announce(`The job is ${job.status}.`));
  const { job, problem } = live;
  useEffect(() => {
    if (job?.stage && isActive(job)) announce(`Stage: ${job.stage}`);
  }, [job?.stage]);
  if (!job) {
    return (
      <main id="main" class="wide">
        <ViewTitle title="Job" />
        {problem ? (problem.needsKey ? <p class="soft">The job is shown once you have given a key.</p> : <Problem problem={problem} />) : <p class="soft">Reading the job…</p>}
        <p><a href="#/jobs">All jobs</a></p>
      </main>
    );
  }
  return (
    <main id="main" class="wide">
      <div class="job-head">
        <div>
          <ViewTitle title={jobTitle(job)} />
          <p class="soft small">{[job.name && job.base_model, askedFor(job.recipe), `begun ${moment(job.created_at)}`].filter(Boolean).join(" · ")}<br /><code class="id">{job.id}</code></p>
        </div>
        <Actions job={job} />
      </div>
      <State live={live} job={job} />
      {job.artifact && <Result job={job} losses={live.losses} />}
      {!job.artifact && live.losses.size > 0 && <section class="card" aria-label="Training"><LossChart losses={live.losses} /></section>}
      <div class="pair">
        <Stages live={live} job={job} />
        <details class="card">
          <summary>The recipe</summary>
          <pre tabIndex={0} aria-label="Recipe">{JSON.stringify(job.recipe, null, 2)}</pre>
        </details>
      </div>
    </main>
  );
}

function State({ live, job }: { live: Live; job: Job }) {
  const elapsed = elapsedSeconds(job, 0);
  return (
    <section class="card state" aria-label="State">
      <Pill status={job.status} />
      {isActive(job) ? <JobProgress job={job} label="Progress of the job" /> : (
        <div class="soft">{elapsed === null ? "It never began." : `It took ${duration(elapsed)}`}{job.attempt > 1 && `, in ${plural(job.attempt, "attempt")}`}</div>
      )}
      {!live.connected && isActive(job) && <p class="note warn small">The connection is lost. What you see may be old; it is tried again by itself.</p>}
      {job.error && (
        <div class="note bad" role="alert">
          <strong>{/^(gate|target)_not_met$/.test(job.error.code) ? "The result is below what was asked." : job.error.type === "user" ? "The job cannot be done as asked." : "The service failed."}</strong> {job.error.message}
          {job.error.retryable && " It may work when you submit it again."}
        </div>
      )}
      {live.problem && <Problem problem={live.problem} />}
    </section>
  );
}

function Actions({ job }: { job: Job }) {
  const [asks, setAsks] = useState<"" | "cancel" | "delete">("");
  const [problem, setProblem] = useState<ProblemError | null>(null);
  const [fraction, setFraction] = useState<number | null>(null);
  const [asked, setAsked] = useState(false);

  const attempt = async (act: () => Promise<void>) => {
    setProblem(null);
    try {
      await act();
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  const cancel = () => attempt(async () => {
    setAsked(true);
    try {
      await postJson(`/v1/jobs/${job.id}/cancel`, {});
      announce("The job is asked to stop.");
    } catch (error) {
      setAsked(false);
      throw error;
    }
  });
  const erase = () => attempt(async () => {
    await remove(`/v1/jobs/${job.id}`);
    announce("The job is deleted.");
    location.hash = "#/jobs";
  });
  const download = () => attempt(async () => {
    setFraction(0);
    try {
      const { artifact } = job;
      const name = `${jobTitle(job).split("/").pop()!.replace(/[^\w.-]+/g, "-") || job.id}.tar.gz`;
      if (artifact && (await save(artifact.url, name, artifact.bytes, setFraction))) announce("The download has begun.");
    } finally {
      setFraction(null);
    }
  });
  return (
    <div class="job-actions">
      <div class="actions">
        {job.artifact && <button type="button" class="primary" onClick={download} disabled={fraction !== null}>{fraction ? `Downloading ${Math.floor(fraction * 100)} %` : `Download ${bytes(job.artifact.bytes)}`}</button>}
        {job.artifact && <CompareWith job={job} />}
        {isActive(job) && <button type="button" disabled={asked || job.status === "cancelling"} onClick={() => setAsks("cancel")}>Cancel the job</button>}
        {!isActive(job) && <button type="button" onClick={() => setAsks("delete")}>Delete</button>}
      </div>
      {problem && <Problem problem={problem} />}
      {asks === "cancel" && (
        <Confirm title="Cancel this job?" action="Cancel the job" keep="Let it run" onConfirm={cancel} onClose={() => setAsks("")}>
          <p>What it has done so far is lost, and there will be no result. The texts stay.</p>
        </Confirm>
      )}
      {asks === "delete" && (
        <Confirm title="Delete this job?" action="Delete" keep="Keep it" onConfirm={erase} onClose={() => setAsks("")}>
          <p>{job.artifact ? "Its model, report and history are" : "Its history is"} removed for everyone and cannot be brought back. The texts stay.</p>
        </Confirm>
      )}
    </div>
  );
}

function CompareWith({ job }: { job: Job }) {
  const [others, setOthers] = useState<Job[]>([]);
  useEffect(() => {
    getJson<Page<Job>>("/v1/jobs?limit=100").then(({ data }) => setOthers(data.filter((each) => each.artifact && each.id !== job.id)), () => {});
  }, [job.id]);
  if (others.length === 0) return null;
  return (
    <label><span class="sr-only">Compare with</span>
      <select value="" onChange={(event) => { if (event.currentTarget.value) location.hash = `#/compare?a=${job.id}&b=${event.currentTarget.value}`; }}>
        <option value="">Compare with…</option>
        {others.map((each) => <option key={each.id} value={each.id}>{jobTitle(each)} · {askedFor(each.recipe)} · {moment(each.created_at)}</option>)}
      </select>
    </label>
  );
}

function Result({ job, losses }: { job: Job; losses: Live["losses"] }) {
  const [report, setReport] = useState<Report | null>(null);
  const [problem, setProblem] = useState<ProblemError | null>(null);
  useEffect(() => {
    getJson<Report>(`/v1/jobs/${job.id}/report`).then(setReport, (error: unknown) => setProblem(asProblem(error)));
  }, [job.id]);
  return (
    <>
      {problem && !problem.needsKey && <Problem problem={problem} title="The report cannot be read." />}
      {report && <ReportView report={report} jobId={job.id} losses={losses} />}
      <Files jobId={job.id} />
    </>
  );
}

function Files({ jobId }: { jobId: string }) {
  const [files, setFiles] = useState<ArtifactFile[] | null>(null);
  const [problem, setProblem] = useState<ProblemError | null>(null);
  const read = () => {
    if (files) return;
    getJson<Page<ArtifactFile>>(`/v1/jobs/${jobId}/artifacts`).then(({ data }) => setFiles(data), (error: unknown) => setProblem(asProblem(error)));
  };
  const take = (file: ArtifactFile) => {
    setProblem(null);
    save(file.url, file.path.split("/").pop()!, file.bytes, () => {}).catch((error: unknown) => setProblem(asProblem(error)));
  };
  return (
    <details class="card" onToggle={read}>
      <summary>The files of the result, one by one</summary>
      {problem && <Problem problem={problem} />}
      <ul class="files">
        {files?.map((file) => (
          <li key={file.path}><button type="button" class="link" onClick={() => take(file)}><code>{file.path}</code></button><span class="soft small">{bytes(file.bytes)}</span></li>
        ))}
      </ul>
    </details>
  );
}

function Stages({ live, job }: { live: Live; job: Job }) {
  const now = useClock(isActive(job));
  const said: Record<string, string> = { "job.retrying": "An attempt failed; another follows", "job.cancelling": "Asked to stop" };
  const notes = live.log.filter((event) => said[event.type]);
  if (live.stages.length === 0) return null;
  return (
    <section class="card" aria-labelledby="stages">
      <h2 id="stages">Stages</h2>
      <ol class="stages">
        {live.stages.map((stage) => {
          const runs = stage.seconds === null && isActive(job);
          const seconds = stage.seconds ?? (runs ? (now - Date.parse(stage.startedAt)) / 1000 : null);
          return (
            <li key={stage.name} class={stage.seconds !== null ? "done" : runs ? "runs" : "stopped"} aria-current={runs ? "step" : undefined}>
              <span>{stage.name}</span>
              <span class="soft small push">{seconds === null ? "not finished" : duration(seconds, !runs)}{runs && " so far"}</span>
            </li>
          );
        })}
      </ol>
      {notes.length > 0 && <ul class="small soft">{notes.map((event) => <li key={event.id}>{moment(event.created_at)}: {said[event.type]}</li>)}</ul>}
    </section>
  );
}
