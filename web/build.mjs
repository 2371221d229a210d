// Bundles src/ into app/page/static/, or the folder given: `node build.mjs [FOLDER]`.
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = process.argv[2] ?? join(here, "..", "app", "page", "static");
const assets = join(out, "assets");

await mkdir(assets, { recursive: true });
for (const name of await readdir(assets)) await rm(join(assets, name));

const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: { page: "src/main.tsx", icon: "src/icon.svg" },
  outdir: assets,
  bundle: true,
  format: "esm",
  target: ["es2022"],
  minify: true,
  // Names hold a hash of the content, so browsers may keep the files for ever.
  entryNames: "[name]-[hash]",
  loader: { ".svg": "copy" },
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  metafile: true,
});

const names = Object.keys(metafile.outputs).map((path) => basename(path));
const named = (stem, end) => names.find((name) => name.startsWith(stem) && name.endsWith(end));
const page = (await readFile(join(here, "src", "index.html"), "utf8"))
  .replace("{{script}}", `/page/assets/${named("page-", ".js")}`)
  .replace("{{style}}", `/page/assets/${named("page-", ".css")}`)
  .replace("{{icon}}", `/page/assets/${named("icon-", ".svg")}`);
await writeFile(join(out, "index.html"), page);
await writeFile(join(out, "LICENSES.txt"), await licences());

// The licence texts of the packages whose code is in the bundle.
async function licences() {
  const used = new Set();
  for (const path of Object.keys(metafile.inputs)) {
    const match = path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//);
    if (match) used.add(match[1]);
  }
  const parts = ["Third-party code in the files beside this one.\n"];
  for (const name of [...used].sort()) {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((each) => /^licen[cs]e/i.test(each));
    const text = file ? await readFile(join(folder, file), "utf8") : `${license}\n`;
    parts.push(`${name} ${version} (${license})\n\n${text.trim()}\n`);
  }
  return parts.join(`\n${"-".repeat(72)}\n\n`);
}
