// The page: its header, its views by the part of the address behind #, and the key.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type Facts, getJson, whenUnauthorized } from "./api";
import { ComparePage } from "./compare";
import { FactsContext, NO_FACTS } from "./facts";
import { HomePage } from "./home";
import { JobPage } from "./job-page";
import { JobsPage } from "./jobs";
import { KeyDialog } from "./key-dialog";
import { applyTheme, readKey, readTheme, type Theme, THEMES } from "./session";
import "./style.css";
import { LiveRegion, markNavigated, ViewTitle } from "./ui";

function useRoute(): string {
  const [route, setRoute] = useState(location.hash.slice(1) || "/");
  useEffect(() => {
    const changed = () => {
      // Links to parts of a view, such as the skip link, are no routes.
      if (location.hash && !location.hash.startsWith("#/")) return;
      markNavigated();
      setRoute(location.hash.slice(1) || "/");
      scrollTo(0, 0);
    };
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}

function View({ route }: { route: string }) {
  const [path = "/", query = ""] = route.split("?");
  const [, area, id] = path.split("/");
  const asked = new URLSearchParams(query);
  if (!area) return <HomePage />;
  if (area === "jobs" && id) return <JobPage key={id} jobId={decodeURIComponent(id)} />;
  if (area === "jobs") return <JobsPage />;
  if (area === "compare") return <ComparePage key={query} first={asked.get("a") ?? ""} second={asked.get("b") ?? ""} />;
  return <main id="main"><ViewTitle title="Nothing is here" /><p>Go to <a href="#/">the start</a> or to <a href="#/jobs">the jobs</a>.</p></main>;
}

function ThemeSwitch() {
  const [theme, setTheme] = useState<Theme>(readTheme());
  const names: Record<Theme, string> = { auto: "As the system", light: "Light", dark: "Dark" };
  return (
    <label class="theme">
      <span class="sr-only">Colours</span>
      <select value={theme} onChange={(event) => { const chosen = event.currentTarget.value as Theme; setTheme(chosen); applyTheme(chosen); }}>
        {THEMES.map((each) => <option key={each} value={each}>{names[each]}</option>)}
      </select>
    </label>
  );
}

function App() {
  const route = useRoute();
  const [facts, setFacts] = useState<Facts>(NO_FACTS);
  const [asksKey, setAsksKey] = useState<"" | "needed" | "wanted">("");
  const [session, setSession] = useState(0);
  useEffect(() => {
    whenUnauthorized(() => setAsksKey("needed"));
    getJson<Facts>("/page/facts.json").then((found) => {
      setFacts(found);
      if (found.auth && !readKey()) setAsksKey("needed");
    }, () => {});
  }, []);
  const current = (path: string) => (route.split("?")[0] === path ? "page" : undefined);
  return (
    <FactsContext.Provider value={facts}>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.querySelector<HTMLElement>("main h1")?.focus(); }}>Skip to the content</a>
      <header class="top">
        <div class="wide">
          <a class="brand" href="#/"><span class="mark" aria-hidden="true"><i /><i /><i /></span>FVT Service</a>
          <nav aria-label="Main">
            <a href="#/" aria-current={current("/")}>New job</a>
            <a href="#/jobs" aria-current={current("/jobs")}>Jobs</a>
            <a href="/docs">API</a>
          </nav>
          <div class="push tools">
            {facts.auth && <button type="button" class="quiet" onClick={() => setAsksKey("wanted")}>{readKey() ? "Key" : "Give a key"}</button>}
            <ThemeSwitch />
          </div>
        </div>
      </header>
      <LiveRegion />
      <View key={session} route={route} />
      {asksKey && <KeyDialog refused={asksKey === "needed" && readKey() !== null} onClose={() => setAsksKey("")} onChange={() => setSession((before) => before + 1)} />}
      <footer class="wide soft small">FVT Service {facts.version} · Fast Vocabulary Transfer (<span>Gee et al., EMNLP 2022</span>)</footer>
    </FactsContext.Provider>
  );
}

applyTheme(readTheme());
render(<App />, document.getElementById("page")!);
