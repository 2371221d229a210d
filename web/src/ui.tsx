// Small parts that all views share.
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { type Job, type ProblemError, serverNow } from "./api";
import { duration, left } from "./format";
import { isActive } from "./live";

let speak: (text: string) => void = () => {};

/** Say something to those who use a screen reader. */
export function announce(text: string): void {
  speak(text);
}

export function LiveRegion() {
  const [text, setText] = useState("");
  useEffect(() => {
    speak = setText;
  }, []);
  return <div role="status" class="sr-only">{text}</div>;
}

/** The heading of a view, which takes the focus when the view is opened. */
export function ViewTitle({ title, children }: { title: string; children?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · FVT Service`;
  }, [title]);
  useEffect(() => {
    if (navigated) heading.current?.focus();
  }, []);
  return <h1 ref={heading} tabIndex={-1}>{children ?? title}</h1>;
}

let navigated = false;

export function markNavigated(): void {
  navigated = true;
}

export function Problem({ problem, title }: { problem: ProblemError; title?: string }) {
  return (
    <div role="alert" class="note bad">
      {title && <strong>{title}</strong>} <span>{problem.message}</span>
      {problem.requestId && <div class="soft small">Request <code>{problem.requestId}</code></div>}
    </div>
  );
}

export function FieldErrors({ id, errors }: { id: string; errors: string[] }) {
  return (
    <div id={id} role="alert" class="field-error">
      {errors.map((error) => <div key={error}>{error}</div>)}
    </div>
  );
}

export function Pill({ status }: { status: Job["status"] }) {
  return <span class={`pill ${status}`}>{status}</span>;
}

/** The time now, anew each second while `running`. */
export function useClock(running: boolean): number {
  const [now, setNow] = useState(serverNow());
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => setNow(serverNow()), 1000);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}

export function elapsedSeconds(job: Job, now: number): number | null {
  if (!job.started_at) return null;
  const end = job.finished_at ? Date.parse(job.finished_at) : now;
  return Math.max(0, (end - Date.parse(job.started_at)) / 1000);
}

export function JobProgress({ job, label }: { job: Job; label: string }) {
  const now = useClock(isActive(job));
  const elapsed = elapsedSeconds(job, now);
  const eta = job.progress.eta_seconds;
  if (job.status === "queued") {
    const waited = (now - Date.parse(job.created_at)) / 1000;
    const place = job.queue_position ? `Number ${job.queue_position} in the queue` : "Waits for a worker";
    return <div class="progress-line soft">{place}, since {duration(waited)}</div>;
  }
  return (
    <div class="progress">
      <progress max={1} value={job.progress.fraction} aria-label={label} />
      <div class="progress-line">
        <span class="figure">{Math.floor(job.progress.fraction * 100)} %</span>
        {job.status === "cancelling" ? <span>stopping</span> : <span>{job.stage}{job.progress.message && <span class="soft"> · {job.progress.message}</span>}</span>}
        <span class="push soft">
          {elapsed !== null && <>{duration(elapsed)} so far</>}
          {eta != null && job.status === "running" && <> · {left(eta)}</>}
        </span>
      </div>
    </div>
  );
}

interface ConfirmProps {
  title: string;
  action: string;
  keep: string;
  children: ComponentChildren;
  onConfirm: () => void;
  onClose: () => void;
}

export function Confirm({ title, action, keep, children, onConfirm, onClose }: ConfirmProps) {
  const id = useId();
  const dialog = useModal();
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose}>
      <h2 id={id}>{title}</h2>
      <div>{children}</div>
      <div class="actions">
        <button type="button" class="danger" onClick={() => { dialog.current?.close(); onConfirm(); }}>{action}</button>
        <button type="button" autofocus onClick={() => dialog.current?.close()}>{keep}</button>
      </div>
    </dialog>
  );
}

export function useModal(): RefObject<HTMLDialogElement | null> {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return dialog;
}

interface TableProps {
  caption: string;
  head: string[];
  rows: { key: string; cells: ComponentChildren[]; class?: string }[];
}

/** A table of figures, its first column the heads of rows. */
export function Figures({ caption, head, rows }: TableProps) {
  const id = useId();
  return (
    <div class="scroll" role="group" aria-labelledby={id} tabIndex={0}>
      <table>
        <caption id={id}>{caption}</caption>
        <thead><tr>{head.map((cell) => (cell ? <th key={cell} scope="col">{cell}</th> : <td key={cell} />))}</tr></thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.key} class={row.class}>
              {row.cells.map((cell, index) => index === 0 ? <th key={index} scope="row">{cell}</th> : <td key={index}>{cell}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
