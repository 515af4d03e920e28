// Writes the published schemas (published/*.jsonl) anew from npm's @atproto/api, in the version that stands below.
//
//   node assets/lexicons/update.mjs
//
// Each line of a file is one document, without its descriptions: what only people read is left out. The package rewrites
// references to absolute ones with "lex:" in front; that is undone. NOTICE.txt keeps the package's licence.
import { execFileSync } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const PACKAGE = "@atproto/api";
const VERSION = "0.21.0";
const INTEGRITY = "sha512-UBPhjUIIrJ1KtVRv3b34QwQgoD6jG7fqcLqMRmZL27HTs/Jz2CMVTCdzP3gh0LQaXGWy7tPjGtVA3i6+YcH/bg==";
/** Families of names, one file each; everything else in the package is left out. */
const FAMILIES = ["com.atproto", "app.bsky", "chat.bsky", "tools.ozone", "com.germnetwork"];

const here = dirname(fileURLToPath(import.meta.url));
const work = mkdtempSync(join(tmpdir(), "lexicons-"));
try {
  const [packed] = JSON.parse(
    execFileSync("npm", ["pack", `${PACKAGE}@${VERSION}`, "--json"], { cwd: work, encoding: "utf8" }),
  );
  if (packed.integrity !== INTEGRITY) throw new Error(`${packed.filename} is not the package that was reviewed`);
  execFileSync("tar", ["xzf", packed.filename], { cwd: work });
  const file = join(work, "package", "dist", "client", "lexicons.js");
  // Only the data is wanted: the helpers around it would pull in other packages.
  const text = readFileSync(file, "utf8");
  const start = text.indexOf("export const schemaDict");
  const end = text.indexOf("export const schemas ", start);
  if (start < 0 || end < 0) throw new Error("the package keeps its schemas elsewhere now");
  const data = join(work, "schemas.mjs");
  writeFileSync(data, text.slice(start, end));
  const { schemaDict } = await import(pathToFileURL(data));
  write(Object.values(schemaDict), readFileSync(join(work, "package", "LICENSE.txt"), "utf8"));
} finally {
  rmSync(work, { recursive: true });
}

function write(documents, licence) {
  const target = join(here, "published");
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target);
  for (const family of FAMILIES) {
    const lines = documents
      .filter(({ id }) => id.startsWith(`${family}.`))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .map(({ lexicon, id, defs }) => JSON.stringify({ lexicon, id, defs: compact(defs, true) }));
    writeFileSync(join(target, `${family}.jsonl`), lines.map((line) => `${line}\n`).join(""));
    console.log(`${family}: ${lines.length} documents`);
  }
  writeFileSync(
    join(target, "NOTICE.txt"),
    `The schemas in this directory come from the npm package ${PACKAGE}, version ${VERSION}, under this licence:\n\n${licence}`,
  );
}

/** A copy without what only people read. Properties and definitions may well be called "description": those stay. */
function compact(value, isNames = false) {
  if (typeof value === "string") return value.replace(/^lex:/, "");
  if (Array.isArray(value)) return value.map((item) => compact(item));
  if (value === null || typeof value !== "object") return value;
  const kept = Object.entries(value).filter(([key]) => isNames || !["description", "title", "title:lang", "detail", "detail:lang"].includes(key));
  return Object.fromEntries(kept.map(([key, item]) => [key, compact(item, key === "properties" && !isNames)]));
}
