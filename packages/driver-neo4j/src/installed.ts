import { access, readdir } from "node:fs/promises";
import type { Tools } from "@stillpoint/driver/driver";

/** The server whose jars are here; undefined if it, or a Java, is not. */
export async function installedServer({
  java,
  neo4jLib,
}: Tools): Promise<{ version: string; isEnterprise: boolean } | undefined> {
  if (java === undefined || neo4jLib === undefined) return undefined;
  try {
    if (java.includes("/")) await access(java);
    const jars = await readdir(neo4jLib);
    const version = jars
      .map((name) => /^neo4j-kernel-(\d+\.\d+\.\d+)\.jar$/.exec(name)?.[1])
      .find((found) => found !== undefined);
    const isEnterprise = jars.some((name) => /^neo4j-.*enterprise.*\.jar$/.test(name));
    return version === undefined ? undefined : { version, isEnterprise };
  } catch (error) {
    // Not there, or not to be read: then it is not installed here.
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
}
