import { join } from "node:path";
import semver from "semver";
import { installPackages } from "./apt-packages.ts";
import { findOnPath, runToEnd } from "./command.ts";
import { firstThatWorks } from "./not-installed.ts";
import type { PartOptions } from "./part-options.ts";

export type JavaPart = {
  readonly command: string;
  readonly major: number;
  /** Everything that `java -version` says: two builds of one version differ in it. */
  readonly release: string;
};

const JAVA_MINIMUM = 17;

export async function ensureJava(options: PartOptions): Promise<JavaPart> {
  const env = options.env ?? process.env;
  return firstThatWorks(`Java ${JAVA_MINIMUM} or newer`, "run as root: apt-get install openjdk-17-jre-headless", [
    () => findJava(env),
    // Which of the two there is depends on the distribution's age.
    ...["openjdk-17-jre-headless", "openjdk-21-jre-headless"].map((name) => async () => {
      await installPackages([name], options);
      return findJava(env);
    }),
  ]);
}

export async function ensureMaven(options: PartOptions): Promise<string> {
  const env = options.env ?? process.env;
  return firstThatWorks("Maven", "run as root: apt-get install maven", [
    () => findMaven(env),
    async () => {
      await installPackages(["maven"], options);
      return findMaven(env);
    },
  ]);
}

async function findJava(env: NodeJS.ProcessEnv): Promise<JavaPart> {
  const home = env.JAVA_HOME;
  const candidates = [...(home === undefined ? [] : [join(home, "bin/java")]), ...(await findOnPath("java", env))];
  const reasons: string[] = [];
  for (const command of candidates) {
    // Java writes its version on standard error: openjdk version "17.0.15" 2025-04-15
    const { stderr } = await runToEnd(command, ["-version"], { env });
    const major = semver.coerce(/version "([^"]+)"/.exec(stderr)?.[1])?.major;
    if (major !== undefined && major >= JAVA_MINIMUM) return { command, major, release: stderr };
    reasons.push(`${command} is Java ${major ?? "of an unknown version"}`);
  }
  throw new Error(reasons.length === 0 ? "no java is on PATH" : reasons.join("; "));
}

/** Maven brings the distribution's own Java with it. */
export async function missingMaven(env: NodeJS.ProcessEnv): Promise<string[]> {
  return findMaven(env).then(
    () => [],
    () => ["maven"],
  );
}

async function findMaven(env: NodeJS.ProcessEnv): Promise<string> {
  const [command] = await findOnPath("mvn", env);
  if (command === undefined) throw new Error("no mvn is on PATH");
  return command;
}
