// Uploads of a corpus. XMLHttpRequest, since fetch does not tell how far an upload is.
import { authorization, type Corpus, ProblemError, raised } from "./api";

export interface ReadingOptions {
  format: string;
  textField: string;
}

export interface Upload {
  done: Promise<Corpus>;
  abort: () => void;
}

export function uploadCorpus(
  file: File,
  options: ReadingOptions,
  progress: (fraction: number) => void,
): Upload {
  const call = new XMLHttpRequest();
  const done = new Promise<Corpus>((resolve, reject) => {
    call.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable && event.total > 0) progress(event.loaded / event.total);
    });
    call.addEventListener("load", () => {
      if (call.status === 201) resolve(JSON.parse(call.responseText) as Corpus);
      else reject(raised(call.status, call.responseText));
    });
    call.addEventListener("error", () => reject(broken("The upload broke off. Check the connection and choose the file again.")));
    call.addEventListener("abort", () => reject(broken("The upload was stopped.", "upload_stopped")));
  });
  call.open("POST", "/v1/corpora");
  call.setRequestHeader("accept", "application/json");
  for (const [name, value] of Object.entries(authorization())) call.setRequestHeader(name, value);
  call.send(corpusForm(file, file.name, options));
  return { done, abort: () => call.abort() };
}

export function corpusForm(file: Blob, name: string, options: ReadingOptions): FormData {
  const form = new FormData();
  // Control characters are refused in names.
  const label = [...name.replace(/[\u0000-\u001f\u007f]/g, "")].slice(0, 200).join("");
  if (label) form.set("name", label);
  if (options.format) form.set("format", options.format);
  if (options.textField) form.set("text_field", options.textField);
  // Last, so that a server that streams knows the options when the file begins.
  form.set("file", file, name);
  return form;
}

function broken(detail: string, code = "upload_broken"): ProblemError {
  return new ProblemError(0, code, detail);
}
