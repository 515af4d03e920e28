// Writes handles.txt anew: the labels that no account gets under a service domain, from npm's @atproto/pds in the version
// that stands below, and own.txt beside this file.
//
//   node assets/reserved/update.mjs
//
// NOTICE.txt keeps the package's licence.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGE = "@atproto/pds";
const VERSION = "0.5.35";
const INTEGRITY = "sha512-kFWHLm667MCfBvNR+Zdem+zNsY7TbB2XWDFxq1/rm0ikM/StUho18QhIHsUJ17ZIYwuSY7IHr2f0dhD+F6Vtfw==";
/** What a handle's label can be: anything else needs no reservation. */
const LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

const here = dirname(fileURLToPath(import.meta.url));
const work = mkdtempSync(join(tmpdir(), "reserved-"));
try {
  const [packed] = JSON.parse(
    execFileSync("npm", ["pack", `${PACKAGE}@${VERSION}`, "--json"], { cwd: work, encoding: "utf8" }),
  );
  if (packed.integrity !== INTEGRITY) throw new Error(`${packed.filename} is not the package that was reviewed`);
  execFileSync("tar", ["xzf", packed.filename], { cwd: work });
  const text = readFileSync(join(work, "package", "dist", "handle", "reserved.js"), "utf8");
  // The lists are arrays of plain strings: they are read, not run.
  const published = [...text.matchAll(/^\s*(['"])([^'"]+)\1,?\s*$/gm)].map((found) => found[2].toLowerCase());
  if (published.length < 500) throw new Error("the package keeps its list elsewhere now");
  const own = readFileSync(join(here, "own.txt"), "utf8").split("\n").filter(Boolean);
  const labels = [...new Set([...published, ...own])].filter((label) => LABEL.test(label)).sort();
  writeFileSync(join(here, "handles.txt"), labels.map((label) => `${label}\n`).join(""));
  const licence = readFileSync(join(work, "package", "LICENSE.txt"), "utf8");
  writeFileSync(
    join(here, "NOTICE.txt"),
    `Most of handles.txt comes from the npm package ${PACKAGE}, version ${VERSION}, under this licence:\n\n${licence}`,
  );
  console.log(`${labels.length} labels, ${published.length} of them published`);
} finally {
  rmSync(work, { recursive: true });
}
