import { readFileSync } from "node:fs";
import { ERROR_CODES, errorBody } from "@stillpoint/contracts/errors";
import { expect, test } from "vitest";

const guide = readFileSync(new URL("../../../docs/guide/errors.md", import.meta.url), "utf8");

test("the guide has every code in the table's order, with what it means for a retry, the exit code and the HTTP status", () => {
  const rows = [...guide.matchAll(/^\| `([A-Z_]+)` \| (\w+) \| (\d+) \| (\d+) \| [^|]{5,} \| [^|]{5,} \|$/gm)];
  const documented = rows.map(([, code, retry, exit, http]) => ({
    code,
    retry,
    exit: Number(exit),
    http: Number(http),
  }));
  expect(documented).toEqual(Object.entries(ERROR_CODES).map(([code, row]) => ({ code, ...row })));
});

test("the guide's example is an error as it is sent", () => {
  const example: unknown = JSON.parse(/^```json\n([^`]+)^```$/m.exec(guide)?.[1] ?? "");
  const parsed = errorBody.strict().parse(example);
  expect(parsed).toEqual(example);
  expect(parsed.retry).toBe(ERROR_CODES[parsed.code].retry);
});
