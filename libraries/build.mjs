// Bundle each library into one file, and the licences of all that is in them into another.
import { build } from "esbuild";
import { existsSync, readFileSync, writeFileSync } from "node:fs";

const INTO = "../src/mlbutler/report/board/vendor";
const packages = new Map();
for (const name of ["table", "charts"]) {
  const { metafile, outputFiles } = await build({
    entryPoints: [`${name}.mjs`], bundle: true, minify: true, format: "iife", target: "es2022", legalComments: "none",
    metafile: true, write: false,
  });
  const used = new Set(Object.keys(metafile.inputs).map((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]).filter(Boolean));
  const named = [...used].sort().map((one) => [one, JSON.parse(readFileSync(`node_modules/${one}/package.json`, "utf8"))]);
  for (const [one, { version, license }] of named) packages.set(one, { version, license });
  const known = named.filter(([one]) => one in JSON.parse(readFileSync("package.json", "utf8")).dependencies);
  const banner = `/* ${known.map(([one, { version }]) => `${one} ${version}`).join(", ")}; licences: LICENSES.txt */\n`;
  writeFileSync(`${INTO}/${name}.min.js`, banner + outputFiles[0].text.trimEnd() + "\n");
}
const licence = (name) => ["LICENSE", "LICENSE.md", "LICENSE.txt", "UNLICENSE"].map((file) => `node_modules/${name}/${file}`).find(existsSync);
const texts = [...packages].sort().map(([name, { version, license }]) => {
  const file = licence(name);
  return `${name} ${version} (${license})\n${"-".repeat(60)}\n${file ? readFileSync(file, "utf8").trim() : "See its package."}\n`;
});
writeFileSync(`${INTO}/LICENSES.txt`, `What is bundled in table.min.js and charts.min.js, by \`make libraries\`.\n\n${texts.join("\n")}`);
