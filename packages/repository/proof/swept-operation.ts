import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { Repository } from "../src/repository.ts";
import { openSmall, type SmallRepository } from "./small-repository.ts";

/** Where an operation works. The faulty one of the stores stands in its place here. */
export type Site = { primary: ObjectStore; replica: ObjectStore; base: SmallRepository; seed: string };

export type SweptOperation = {
  title: string;
  faultAt: "primary" | "replica";
  /** What it finds, made on a sound store. */
  prepare?: (site: Site) => Promise<void>;
  /** Also run a second time, on a sound store, when it failed or succeeded: it must come out right then. */
  run: (site: Site) => Promise<void>;
  /** What makes good in time that a listing hid something, where once more is too early. */
  inTime?: (site: Site) => Promise<void>;
  /** What must be true afterwards. */
  verify: (repository: Repository, site: Site) => Promise<string | undefined>;
};

export async function withRepository<Result>(
  { primary, seed }: Site,
  work: (repository: Repository) => Promise<Result>,
): Promise<Result> {
  await using repository = await openSmall(primary, seed);
  return await work(repository);
}

/** Never of our own kind, so that the sweep tells it from a loud failure. */
export function wrong(what: string): Error {
  return new Error(what);
}
