import { parseArgs } from "node:util";
import { runAsCommand } from "@stillpoint/cli/run-as-command";
import { bringUp, stayUp } from "@stillpoint/cli/up";
import { demo } from "./demo.ts";
import { startProtectedSample } from "./protected-sample.ts";

/** `main.ts demo [--json] [--scale N] [--isolate]`, `main.ts start [--plans FILE] [--scale N] [--isolate] [--port N]`. */
await runAsCommand(async (world) => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      scale: { type: "string", default: "1" },
      isolate: { type: "boolean", default: false },
      plans: { type: "string" },
      port: { type: "string", default: "7400" },
    },
  });
  const parts = world.partsDirectory;
  const { json, isolate } = values;
  const scale = Number(values.scale);
  if (positionals[0] === "demo") return demo(world, { json, isolate, scale, parts });
  if (values.plans !== undefined) return bringUp(world, { plans: values.plans, isolate, port: values.port });
  const schedule = ["every 5m", "daily"];
  await using running = await startProtectedSample(world, {
    parts,
    scale,
    isolate,
    restPort: Number(values.port),
    schedule,
  });
  await stayUp(world, running.system);
});
