import { spawn } from "node:child_process";
import { join } from "node:path";
import { accountOf } from "@stillpoint/driver/account";

/** Before the words of a command that is to run as a server does, which never is root. */
export async function asServer(): Promise<string[]> {
  if (process.getuid?.() !== 0) return [];
  const { uid, gid } = await accountOf("postgres");
  return ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
}

/** Asks a data directory without starting a server on it: the value of `found`. */
export async function askAlone(binDirectory: string, directory: string, question: string): Promise<string | undefined> {
  const words = ["--single", "-D", directory, "-c", "exit_on_error=on", "-c", "log_min_messages=error", "postgres"];
  const [program = "", ...rest] = [...(await asServer()), join(binDirectory, "postgres"), ...words];
  const alone = spawn(program, rest, { cwd: directory, stdio: ["pipe", "pipe", "inherit"] });
  alone.stdin.end(`${question}\n`);
  return /found = "(.*)"/.exec((await Array.fromAsync(alone.stdout)).join(""))?.[1];
}
