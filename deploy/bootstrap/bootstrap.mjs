// The first file that runs, on whatever Node is there (20 or newer) with nothing installed: plain JavaScript, no
// dependency. It brings the Node and pnpm that the product wants, installs the workspace, and hands over.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { commandLine, USAGE } from "./command-line.mjs";
import { exclusively } from "./exclusively.mjs";
import { handOver } from "./hand-over.mjs";
import { withUsableHome } from "./home.mjs";
import { bringTools, installWorkspace } from "./tools.mjs";

const checkout = join(dirname(fileURLToPath(import.meta.url)), "../..");
const say = (line) => process.stderr.write(`stillpoint: ${line}\n`);

try {
  const start = commandLine(checkout, process.argv.slice(2), process.env, process.cwd());
  if (start === undefined) {
    process.stderr.write(USAGE);
    process.exit(2);
  }
  const env = withUsableHome(checkout, process.env);
  const tools = await exclusively(join(checkout, ".tools"), say, async () => {
    const there = await bringTools(checkout, env, say);
    await installWorkspace(checkout, there, say);
    return there;
  });
  await handOver({ ...start, node: tools.node, env: tools.env });
} catch (error) {
  say(error.message);
  process.exit(1);
}
