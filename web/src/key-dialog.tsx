// The field for the key, which this tab alone remembers.
import { useId, useState } from "preact/hooks";
import { readKey, storeKey } from "./session";
import { announce, useModal } from "./ui";

interface KeyDialogProps {
  refused: boolean;
  onClose: () => void;
  onChange: () => void;
}

export function KeyDialog({ refused, onClose, onChange }: KeyDialogProps) {
  const id = useId();
  const dialog = useModal();
  const [error, setError] = useState(refused ? "The service does not accept this key. Check it with whoever runs the service." : "");
  const [trying, setTrying] = useState(false);

  const use = async (event: SubmitEvent) => {
    event.preventDefault();
    const given = String(new FormData(event.currentTarget as HTMLFormElement).get("key") ?? "").trim();
    if (!given) return setError("Give a key.");
    // Headers hold these characters alone, so that no other can be in a key that works.
    if (!/^[\x21-\x7e]+$/.test(given)) return setError("A key has no spaces and only plain letters, digits and signs.");
    setTrying(true);
    try {
      const answer = await fetch("/v1/jobs?limit=1", { headers: { authorization: `Bearer ${given}` } });
      if (answer.status === 401) return setError("The service does not accept this key. Check it with whoever runs the service.");
    } catch {
      return setError("The service does not answer. Check that it runs, then try again.");
    } finally {
      setTrying(false);
    }
    storeKey(given);
    announce("The key is accepted.");
    dialog.current?.close();
    onChange();
  };

  const forget = () => {
    storeKey(null);
    dialog.current?.close();
    onChange();
  };

  return (
    <dialog ref={dialog} aria-labelledby={`${id}-title`} onClose={onClose}>
      <h2 id={`${id}-title`}>This service asks for a key</h2>
      <form onSubmit={use} noValidate>
        <label for={`${id}-key`}>Key</label>
        <input id={`${id}-key`} name="key" type="password" autocomplete="off" spellcheck={false} autofocus
          aria-invalid={error ? "true" : undefined} aria-describedby={`${id}-error ${id}-hint`} />
        <div id={`${id}-error`} role="alert" class="field-error">{error}</div>
        <p id={`${id}-hint`} class="soft small">Whoever runs the service gave it to you. It stays in this tab and is forgotten when you close it.</p>
        <div class="actions">
          <button type="submit" class="primary" disabled={trying}>Use this key</button>
          <button type="button" onClick={() => dialog.current?.close()}>Not now</button>
          {readKey() && <button type="button" class="quiet" onClick={forget}>Forget the key</button>}
        </div>
      </form>
    </dialog>
  );
}
