// A job as its events tell it: stages, loss curves and how far it is.
import { useEffect, useReducer, useRef } from "preact/hooks";
import {
  asProblem,
  getJson,
  type Job,
  type JobEvent,
  type LossPoint,
  type ProblemError,
} from "./api";
import { followJob } from "./events";
import { modelName } from "./format";

export interface Stage {
  name: string;
  startedAt: string;
  seconds: number | null;
}

export interface Live {
  job: Job | null;
  stages: Stage[];
  /** By the name of the model: its tokens, and its layers where a target chose them. */
  losses: Map<string, LossPoint[]>;
  log: JobEvent[];
  connected: boolean;
  problem: ProblemError | null;
}

type Change =
  | { kind: "job"; job: Job }
  | { kind: "events"; events: JobEvent[] }
  | { kind: "connected"; is: boolean }
  | { kind: "problem"; problem: ProblemError }
  | { kind: "reset" };

const NOTHING: Live = {
  job: null,
  stages: [],
  losses: new Map(),
  log: [],
  connected: true,
  problem: null,
};

export const ACTIVE = new Set(["queued", "running", "cancelling"]);
const STATUS_AFTER: Record<string, Job["status"]> = {
  "job.queued": "queued",
  "job.started": "running",
  "job.retrying": "queued",
  "job.cancelling": "cancelling",
};

export function isActive(job: Job): boolean {
  return ACTIVE.has(job.status);
}

function change(live: Live, made: Change): Live {
  switch (made.kind) {
    case "job":
      return { ...live, job: made.job, problem: null };
    case "events":
      return made.events.reduce(withEvent, {
        ...live,
        stages: [...live.stages],
        losses: new Map(live.losses),
        log: [...live.log, ...made.events.filter((event) => event.type !== "job.progress" && event.type !== "recovery.loss")],
      });
    case "connected":
      return live.connected === made.is ? live : { ...live, connected: made.is };
    case "problem":
      return { ...live, problem: made.problem };
    case "reset":
      return NOTHING;
  }
}

function withEvent(live: Live, event: JobEvent): Live {
  const data = event.data as { stage: string; seconds: number; attempt: number };
  const job = live.job && isActive(live.job) ? { ...live.job } : null;
  if (job && STATUS_AFTER[event.type]) job.status = STATUS_AFTER[event.type]!;
  switch (event.type) {
    case "job.started":
      if (job) job.attempt = data.attempt;
      if (job) job.started_at ??= event.created_at;
      break;
    case "job.progress":
      if (job) job.progress = { ...(event.data as Job["progress"]) };
      break;
    case "stage.started":
      if (job) job.stage = data.stage;
      live.stages = live.stages.filter((stage) => stage.name !== data.stage);
      live.stages.push({ name: data.stage, startedAt: event.created_at, seconds: null });
      break;
    case "stage.finished":
      live.stages = live.stages.map((stage) =>
        stage.name === data.stage ? { ...stage, seconds: data.seconds } : stage,
      );
      break;
    case "recovery.loss": {
      const point = event.data as unknown as LossPoint & { vocab_size: number; layers?: number | null };
      const name = modelName(point.vocab_size, point.layers);
      // A job that goes on after an interruption repeats the steps since its last checkpoint.
      const before = (live.losses.get(name) ?? []).filter((each) => each.step < point.step);
      live.losses.set(name, [...before, point]);
      break;
    }
  }
  return job ? { ...live, job } : live;
}

/** Follow a job; with `onEnd` called once when it ends while it is watched. */
export function useLiveJob(jobId: string, first: Job | null = null, onEnd?: (job: Job) => void): Live {
  const [live, dispatch] = useReducer(change, { ...NOTHING, job: first });
  const ended = useRef(onEnd);
  ended.current = onEnd;
  useEffect(() => {
    const stop = new AbortController();
    let waiting: JobEvent[] = [];
    let timer = 0;
    // A long job's past comes at once: its events are shown a batch at a time.
    const flush = () => {
      timer = 0;
      const events = waiting;
      waiting = [];
      dispatch({ kind: "events", events });
    };
    const take = (event: JobEvent) => {
      waiting.push(event);
      timer ||= window.setTimeout(flush, 100);
    };
    const read = async () => {
      const job = await getJson<Job>(`/v1/jobs/${encodeURIComponent(jobId)}`, { signal: stop.signal });
      dispatch({ kind: "job", job });
      return job;
    };
    const follow = async () => {
      const wasActive = isActive(await read());
      await followJob(jobId, take, (is) => dispatch({ kind: "connected", is }), stop.signal);
      if (stop.signal.aborted || !wasActive) return;
      const job = await read();
      ended.current?.(job);
    };
    dispatch({ kind: "reset" });
    if (first) dispatch({ kind: "job", job: first });
    follow().catch((error: unknown) => {
      if (!stop.signal.aborted) dispatch({ kind: "problem", problem: asProblem(error) });
    });
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [jobId]);
  return live;
}
