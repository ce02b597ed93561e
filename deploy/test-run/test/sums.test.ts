import { exitCode, sumLine, total, withoutSkips } from "@stillpoint/test-run/sums";
import { typecheckSums } from "@stillpoint/test-run/typecheck";
import { vitestSums } from "@stillpoint/test-run/vitest-report";
import { expect, test } from "vitest";

const file = (status: string, ...statuses: ("passed" | "failed" | "skipped" | "todo")[]) => ({
  name: "/checkout/packages/a/test/a.test.ts",
  status,
  assertionResults: statuses.map((status, index) => ({ fullName: `test ${index}`, status })),
});

test("the last line has the sums of all steps, and skipped ones only where there are any", () => {
  const one = { passed: 2, failed: ["a"], skipped: [] };
  expect(sumLine(total([one, { passed: 3, failed: [], skipped: [] }]))).toBe("5 passed, 1 failed");
  expect(sumLine(total([one, { passed: 0, failed: [], skipped: ["b", "c"] }]))).toBe("2 passed, 1 failed, 2 skipped");
});

test("a failure, or no test at all, is no success", () => {
  expect(exitCode({ passed: 1, failed: [], skipped: ["a"] })).toBe(0);
  expect(exitCode({ passed: 9, failed: ["a"], skipped: [] })).toBe(1);
  expect(exitCode({ passed: 0, failed: [], skipped: [] })).toBe(1);
});

test("where nothing may be skipped, a skipped test is a failed one", () => {
  const sums = withoutSkips({ passed: 3, failed: ["a"], skipped: ["b"] });
  expect(sumLine(sums)).toBe("3 passed, 2 failed");
  expect(sums.failed).toEqual(["a", "b (skipped)"]);
  expect(exitCode(withoutSkips({ passed: 3, failed: [], skipped: ["b"] }))).toBe(1);
});

test("vitest's tests are counted by what became of them, with the file they are in", () => {
  const sums = vitestSums({ testResults: [file("failed", "passed", "failed", "skipped", "todo")] }, 1, "/checkout");
  expect(sums.passed).toBe(1);
  expect(sums.failed).toEqual(["packages/a/test/a.test.ts: test 1"]);
  expect(sums.skipped).toHaveLength(2);
});

test("a failed test comes with the first line of its reason", () => {
  const failureMessages = ["Error: 400, it exists already\n    at call (double.ts:69:27)", "Error: another"];
  const failed = { fullName: "it is made", status: "failed" as const, failureMessages };
  const testResults = [{ name: "/checkout/a.test.ts", status: "failed", assertionResults: [failed] }];
  expect(vitestSums({ testResults }, 1, "/checkout").failed).toEqual([
    "a.test.ts: it is made: Error: 400, it exists already",
  ]);
});

test("a file that could not be loaded is a failure, though no test in it failed", () => {
  const sums = vitestSums({ testResults: [file("passed", "passed"), file("failed")] }, 1, "/checkout");
  expect(sumLine(sums)).toBe("1 passed, 1 failed");
});

test("an error outside of every test is a failure", () => {
  expect(sumLine(vitestSums({ testResults: [file("passed", "passed")] }, 1, "/checkout"))).toBe("1 passed, 1 failed");
});

test("each package's types are a test of their own, and one that was never checked has failed", () => {
  const task = (taskId: string, code?: number) => ({
    taskId,
    task: taskId.split("#")[1] ?? "",
    execution: code === undefined ? null : { exitCode: code },
  });
  const tasks = [task("a#typecheck", 0), task("b#typecheck", 2), task("c#typecheck"), task("a#transit", 0)];
  const sums = typecheckSums({ tasks }, 1);
  expect(sums).toEqual({ passed: 1, failed: ["b#typecheck", "c#typecheck"], skipped: [] });
  expect(sumLine(typecheckSums({ tasks: [] }, 1))).toBe("0 passed, 1 failed");
});
