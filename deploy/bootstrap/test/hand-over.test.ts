import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { expect, test } from "vitest";

test("the exit code and the arguments pass through, and standard output is the command's alone", async () => {
  await using command = await handedOver("console.log(JSON.stringify(process.argv.slice(2))); process.exit(8);", [
    "--json",
    "two words",
  ]);
  expect(await command.next()).toBe('["--json","two words"]');
  expect(await command.ended).toEqual([8, null]);
});

test("a Ctrl-C that arrives several times at once reaches the command once, and a later one again", async () => {
  await using command = await handedOver(`
    let count = 0;
    process.on("SIGINT", () => { console.log("interrupt", ++count); if (count === 2) process.exit(130); });
    setInterval(() => {}, 1000);
    console.log("ready");`);
  await command.next();
  for (let time = 0; time < 3; time++) command.child.kill("SIGINT");
  expect(await command.next()).toBe("interrupt 1");
  await waitFor("a further Ctrl-C has ended it", () => {
    command.child.kill("SIGINT");
    return command.child.exitCode !== null;
  });
  expect(await command.next()).toBe("interrupt 2");
  expect(await command.ended).toEqual([130, null]);
});

test("a command that dies by a signal makes us die by the same", async () => {
  await using command = await handedOver("setInterval(() => {}, 1000); console.log('ready');");
  await command.next();
  command.child.kill("SIGTERM");
  expect(await command.ended).toEqual([null, "SIGTERM"]);
});

test("a command is told to stop when we are killed", async () => {
  await using directory = await temporaryDirectory();
  const told = join(directory.path, "told");
  await using command = await handedOver(`
    import { writeFileSync } from "node:fs";
    process.on("SIGTERM", () => { writeFileSync(${JSON.stringify(told)}, ""); console.log("told"); process.exit(0); });
    setInterval(() => {}, 1000);
    console.log("ready");`);
  await command.next();
  command.child.kill("SIGKILL");
  expect(await command.next()).toBe("told");
});

type HandedOver = AsyncDisposable & {
  child: ChildProcess;
  next(): Promise<string>;
  ended: Promise<[code: number | null, signal: string | null]>;
};

/** A process that hands over to the program in `text`. */
async function handedOver(text: string, args: readonly string[] = []): Promise<HandedOver> {
  const directory = await temporaryDirectory();
  const entry = join(directory.path, "entry.mjs");
  await writeFile(entry, text);
  const start = { node: process.execPath, entry, args, cwd: directory.path, env: { PATH: process.env.PATH } };
  const handOver = fileURLToPath(new URL("../hand-over.mjs", import.meta.url));
  const program = `import { handOver } from ${JSON.stringify(handOver)}; await handOver(${JSON.stringify(start)});`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit") as Promise<[number | null, string | null]>;
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    ended,
    next: async () => String((await lines.next()).value),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
      await directory[Symbol.asyncDispose]();
    },
  };
}
