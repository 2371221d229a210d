// What the service says of itself: names of metrics and runtimes, whether it wants a key.
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Facts } from "./api";

export const NO_FACTS: Facts = {
  version: "",
  auth: false,
  hub: false,
  metrics: {},
  runtimes: {},
  target_runtime: "",
  presets: {},
  objectives: {},
};

export const FactsContext = createContext<Facts>(NO_FACTS);

export function useFacts(): Facts {
  return useContext(FactsContext);
}

export function metricLabel(facts: Facts, name: string): string {
  return facts.metrics[name]?.label ?? name.replaceAll("_", " ");
}

/** The label of a runtime of a report, where the version of PyTorch is behind the name. */
export function runtimeLabel(facts: Facts, shown: string): string {
  const [name = shown] = shown.split(" ");
  return facts.runtimes[name]?.label ?? shown;
}
