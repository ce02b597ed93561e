import { toStillpointError } from "@stillpoint/contracts/errors";
import { query } from "@stillpoint/contracts/query";
import { z } from "zod";
import { checkTree, maxOf, valuesOf } from "./answer.ts";

/** Runs inside the sandbox: answers one query about a tree, as NDJSON; an error is a last line of its own. */
const asked = z.object({ directory: z.string(), expected: z.number().optional(), query });

const write = (row: unknown) =>
  new Promise<void>((resolve, reject) => {
    process.stdout.write(`${JSON.stringify(row)}\n`, (error) => (error ? reject(error) : resolve()));
  });

try {
  const { directory, expected, query: question } = asked.parse(JSON.parse(process.argv[2] ?? ""));
  switch (question.type) {
    case "store":
      for await (const row of checkTree(directory, expected)) await write({ row });
      break;
    case "values":
      for await (const row of valuesOf(directory, question.of)) await write({ row });
      break;
    case "max":
      await write({ row: await maxOf(directory, question.of) });
      break;
    case "statement":
      throw new TypeError("files answer no statements");
  }
  await write({ end: true });
} catch (error) {
  await write({ error: toStillpointError(error, "Cannot question the restored files").toBody() });
}
