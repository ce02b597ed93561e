import { parseArgs } from "node:util";
import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import type { Figure } from "@stillpoint/repository/bench/figure";
import type { Area } from "./area.ts";
import { capture } from "./capture/capture-area.ts";
import { index } from "./index-area.ts";
import { thisMachine } from "./machine.ts";
import { pages } from "./pages-area.ts";
import { repository } from "./repository-area.ts";
import { ship } from "./ship/ship-area.ts";
import { machineLine, table } from "./table.ts";
import { wal } from "./wal/wal-area.ts";

const AREAS: Readonly<Record<string, Area>> = { repository, pages, index, ship, capture, wal };
const USAGE = `usage: npm run bench -- [${Object.keys(AREAS).join(" | ")}] [--json] [--megabytes N] [--rounds N] [--seconds N] [--small-files N] [--chunks N] [--stores KIND,…] [--apart] [--no-s3]`;

function positive(text: string, option: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new StillpointError("INVALID_REQUEST", { what: `${option} must be a whole number above 0`, hint: USAGE });
}

function chosen(names: readonly string[]): [string, Area][] {
  const all = Object.entries(AREAS);
  const unknown = names.find((name) => AREAS[name] === undefined);
  if (unknown !== undefined)
    throw new StillpointError("INVALID_REQUEST", { what: `There is no area ${unknown}`, hint: USAGE });
  return names.length === 0 ? all : all.filter(([name]) => names.includes(name));
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      megabytes: { type: "string", default: "1000" },
      "small-files": { type: "string", default: "100000" },
      chunks: { type: "string", default: "10000000" },
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "20" },
      stores: { type: "string", default: "" },
      apart: { type: "boolean", default: false },
      "no-s3": { type: "boolean", default: false },
    },
  });
  const options = {
    megabytes: positive(values.megabytes, "--megabytes"),
    smallFiles: positive(values["small-files"], "--small-files"),
    chunks: positive(values.chunks, "--chunks"),
    rounds: positive(values.rounds, "--rounds"),
    seconds: positive(values.seconds, "--seconds"),
    stores: values.stores.split(",").filter((kind) => kind !== ""),
    apart: values.apart,
    s3: !values["no-s3"],
    log: (line: string) => process.stderr.write(`${line}\n`),
  };
  const areas = chosen(positionals);
  const machine = thisMachine();
  if (!values.json) process.stdout.write(`${machineLine(machine)}\n`);
  else options.log(machineLine(machine));
  const all: Figure[] = [];
  for (const [name, area] of areas) {
    const figures = await area(options);
    all.push(...figures);
    if (!values.json) process.stdout.write(`\n${table(name, figures)}\n`);
  }
  if (values.json) process.stdout.write(`${JSON.stringify(all, null, 1)}\n`);
}

try {
  await main();
} catch (error) {
  const failure = toStillpointError(error, "The benchmark failed");
  process.stderr.write(`${failure.message}${failure.hint === undefined ? "" : `\n${failure.hint}`}\n`);
  process.exitCode = failure.exit;
}
