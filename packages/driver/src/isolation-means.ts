import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** How far this machine can shut a process in: the program that does it, and what it then has. */
export type Means = {
  launcher: string[];
  network: boolean;
  /** Mount and process namespaces: sockets can be hidden, and all processes end with the first. */
  mounts: boolean;
  /** Why it is not more. */
  reason?: string;
};

const ALL = ["-n", "-m", "-p", "-i", "--fork", "--kill-child"];
const AS_USER = ["-U", "--map-current-user", "--keep-caps"];

const VARIANTS: { flags: string[]; mounts: boolean; keepsAccounts: boolean; reason?: string }[] = [
  { flags: [...ALL, "--mount-proc"], mounts: true, keepsAccounts: true },
  { flags: ALL, mounts: true, keepsAccounts: true },
  { flags: [...AS_USER, ...ALL, "--mount-proc"], mounts: true, keepsAccounts: false },
  { flags: [...AS_USER, ...ALL], mounts: true, keepsAccounts: false },
  {
    flags: [...AS_USER, "-n"],
    mounts: false,
    keepsAccounts: false,
    reason: "this machine allows no mount namespace, so sockets in the file system can be reached",
  },
];

type Variant = (typeof VARIANTS)[number];
let tried: Promise<{ found: Variant } | { why: string }> | undefined;

/** Tries once per process what `unshare` may do here. `switchesAccount`: servers run as another account than this one. */
export async function isolationMeans(switchesAccount: boolean): Promise<Means> {
  tried ??= firstThatWorks();
  const result = await tried;
  if ("why" in result || (switchesAccount && !result.found.keepsAccounts)) {
    const why = "why" in result ? result.why : "it has one account only";
    return { launcher: [], network: false, mounts: false, reason: `this machine allows no network namespace: ${why}` };
  }
  const { flags, mounts, reason } = result.found;
  // A process namespace takes everything with it when its first process dies, and that one dies with us.
  const launcher = [...(mounts ? ["setpriv", "--pdeathsig", "KILL"] : []), "unshare", ...flags];
  return { launcher, network: true, mounts, ...(reason === undefined ? {} : { reason }) };
}

async function firstThatWorks(): Promise<{ found: Variant } | { why: string }> {
  let why = "unshare is missing";
  for (const found of VARIANTS) {
    try {
      await execute("setpriv", ["--pdeathsig", "KILL", "unshare", ...found.flags, "true"], { timeout: 10_000 });
      return { found };
    } catch (error) {
      why = error instanceof Error ? (error.message.trim().split("\n").at(-1) ?? why) : String(error);
    }
  }
  return { why };
}
