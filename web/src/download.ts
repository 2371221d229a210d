// Downloads. A link cannot send a key, so with one the file is fetched and written as it comes.
import { ProblemError, request } from "./api";
import { readKey } from "./session";

interface FileSink {
  createWritable(): Promise<WritableStream<Uint8Array<ArrayBuffer>>>;
}

type SavePicker = (options: { suggestedName: string }) => Promise<FileSink>;

/** What a browser without a place to write may hold of one file in memory. */
const MOST_IN_MEMORY = 1_500_000_000;

export function commandFor(path: string): string {
  return `curl -fLOJ -H "Authorization: Bearer $FVT_API_KEY" ${location.origin}${path}`;
}

/** Save a file of a result; returns false where the person chose no place for it. */
export async function save(path: string, name: string, size: number, progress: (fraction: number) => void): Promise<boolean> {
  if (!readKey()) {
    follow(path, name);
    return true;
  }
  const picker = (window as { showSaveFilePicker?: SavePicker }).showSaveFilePicker;
  const sink = picker && size > MOST_IN_MEMORY / 10 ? await picker.call(window, { suggestedName: name }).catch(() => null) : undefined;
  if (sink === null) return false;
  if (!sink && size > MOST_IN_MEMORY) throw tooHard(path, "The file is too large for this browser to fetch with a key.");
  const response = await request(path, { redirect: "manual" });
  // The object store is another host, to which this page makes no requests.
  if (response.type === "opaqueredirect") throw tooHard(path, "The file lies in an object store.");
  const body = response.body!.pipeThrough(counting(size, progress));
  if (sink) await body.pipeTo(await sink.createWritable());
  else {
    const url = URL.createObjectURL(await new Response(body).blob());
    follow(url, name);
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }
  return true;
}

function counting(size: number, progress: (fraction: number) => void): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  let seen = 0;
  return new TransformStream({
    transform(chunk, out) {
      seen += chunk.byteLength;
      progress(size > 0 ? Math.min(1, seen / size) : 1);
      out.enqueue(chunk);
    },
  });
}

function follow(url: string, name: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}

function tooHard(path: string, why: string): ProblemError {
  return new ProblemError(0, "download", `${why} Download it with: ${commandFor(path)}`);
}
