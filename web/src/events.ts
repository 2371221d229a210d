// A job's events as they happen. EventSource can send no key, so the stream is read with fetch.
import { type JobEvent, ProblemError, request } from "./api";

interface Message {
  id: string | null;
  data: string;
}

const ENDS = new Set(["job.succeeded", "job.failed", "job.cancelled"]);
// The service says something every 15 s, so this silence is a connection that is gone.
const SILENCE_MS = 45_000;
const MOST_WAIT_MS = 15_000;

/** Read server-sent events off a response's body. */
export async function* readMessages(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  heard: () => void,
): AsyncGenerator<Message> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let id: string | null = null;
  let data: string[] = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    const lines = (rest + value).split(/\r\n|\n/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) yield { id, data: data.join("\n") };
        data = [];
      } else if (line.startsWith("id:")) id = line.slice(3).trim();
      else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
    }
  }
}

/**
 * Call `take` with each event of a job until the one that ends it, or until `signal` says stop.
 *
 * A connection that breaks is made again and goes on behind the last event; `connected` is told.
 * Throws ProblemError where the service refuses.
 */
export async function followJob(
  jobId: string,
  take: (event: JobEvent) => void,
  connected: (is: boolean) => void,
  signal: AbortSignal,
): Promise<void> {
  let last: string | null = null;
  let wait = 1000;
  while (!signal.aborted) {
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    signal.addEventListener("abort", stop);
    let silence = window.setTimeout(stop, SILENCE_MS);
    const heard = () => {
      clearTimeout(silence);
      silence = window.setTimeout(stop, SILENCE_MS);
    };
    try {
      const headers: Record<string, string> = { accept: "text/event-stream" };
      if (last) headers["last-event-id"] = last;
      const response = await request(`/v1/jobs/${jobId}/events`, { headers, signal: attempt.signal });
      connected(true);
      if (response.status === 204 || !response.body) return;
      for await (const message of readMessages(response.body, heard)) {
        const event = JSON.parse(message.data) as JobEvent;
        last = message.id ?? last;
        wait = 1000;
        take(event);
        if (ENDS.has(event.type)) return;
      }
    } catch (error) {
      if (error instanceof ProblemError && error.status >= 400 && error.status < 500) throw error;
    } finally {
      clearTimeout(silence);
      signal.removeEventListener("abort", stop);
      attempt.abort();
    }
    if (signal.aborted) return;
    connected(false);
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 2, MOST_WAIT_MS);
  }
}
