import { cp, lchown, lstat, mkdir, readdir, rename, rm, symlink } from "node:fs/promises";
import { dirname, isAbsolute, join, relative } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Mark } from "@stillpoint/contracts/point";
import { type MarkDetail, markDetail } from "./mark-detail.ts";

export type Tablespace = MarkDetail["tablespaces"][number];

/** A tablespace that is to lie elsewhere than in the restored directory. */
export type Placed = Tablespace & { to: string };

/** Those that a point has beyond the two of every cluster. */
export function tablespacesOf({ detail }: Pick<Mark, "detail">): readonly Tablespace[] {
  const parsed = markDetail.pick({ tablespaces: true }).safeParse(detail);
  return parsed.success ? parsed.data.tablespaces : [];
}

const WHAT = "Cannot place a tablespace";

/** `name=/directory`, as a person gives it, for tablespaces that the point has. Each directory must be empty or absent. */
export async function readPlaces(tablespaces: readonly Tablespace[], given: readonly string[]): Promise<Placed[]> {
  const placed: Placed[] = [];
  for (const text of given) {
    const at = text.lastIndexOf("=/");
    const [name, to] = [text.slice(0, at), text.slice(at + 1)];
    const found = tablespaces.find((each) => each.name === name || each.oid === name);
    if (at < 1 || !isAbsolute(to)) throw wrong(text, "it is not name=/directory");
    if (found === undefined)
      throw wrong(
        text,
        tablespaces.length === 0 ? "there is none" : `there are ${tablespaces.map((each) => each.name).join(", ")}`,
      );
    if (placed.some((each) => each.oid === found.oid || overlap(each.to, to))) throw wrong(text, "it is there twice");
    const there = await readdir(to).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    if (there.length > 0)
      throw new StillpointError("DESTINATION_NOT_EMPTY", { what: WHAT, where: to, why: `it holds ${there[0]}` });
    placed.push({ ...found, to });
  }
  return placed;
}

/** Moves tablespaces out of a restored directory and links them; PostgreSQL finds them as it does its own. */
export async function placeTablespaces(directory: string, placed: readonly Placed[]): Promise<void> {
  for (const { oid, to } of placed) {
    const inside = join(directory, "pg_tblspc", oid);
    const { uid, gid } = await lstat(inside);
    // Whoever runs the server must get through to it, and it is for nobody else.
    await mkdir(dirname(to), { recursive: true });
    await mkdir(to, { recursive: true, mode: 0o700 });
    await lchown(to, uid, gid);
    for (const name of await readdir(inside)) await move(join(inside, name), join(to, name));
    await rm(inside, { recursive: true });
    await symlink(to, inside);
    await lchown(inside, uid, gid);
  }
}

async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EXDEV")) throw error;
    await cp(from, to, { recursive: true, preserveTimestamps: true, errorOnExist: true, force: false });
    const { uid, gid } = await lstat(from);
    for (const path of ["", ...(await readdir(to, { recursive: true }))]) await lchown(join(to, path), uid, gid);
    await rm(from, { recursive: true });
  }
}

function overlap(one: string, other: string): boolean {
  const within = (path: string) => !path.startsWith("..");
  return within(relative(one, other)) || within(relative(other, one));
}

function wrong(where: string, why: string): StillpointError {
  return new StillpointError("INVALID_REQUEST", {
    what: WHAT,
    where: `--tablespace ${where}`,
    why,
    hint: "write --tablespace name=/directory; what is not named lies in the restored directory",
  });
}
