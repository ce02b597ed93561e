import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { StillpointError } from "@stillpoint/contracts/errors";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { describe, expect, it } from "vitest";
import type { ObservedCall } from "../src/observe.ts";
import { openObjectStore } from "../src/open-object-store.ts";
import { openTargets } from "../src/open-target.ts";
import { targetWorld } from "../src/target-world.ts";
import { parseTargets } from "../src/targets-file.ts";

function whyNot(text: string): string {
  try {
    parseTargets(text, "targets.yaml");
    return "accepted";
  } catch (error) {
    return error instanceof StillpointError && error.code === "CONFIG_INVALID" ? (error.why ?? "") : String(error);
  }
}
const s3 = "url: s3://bucket/prefix";

describe("a targets file", () => {
  it("names every field that is wrong, and never shows a secret that stands where a reference should", () => {
    expect(whyNot("primary: {}")).toMatch(/primary\.url/);
    expect(whyNot("replicas: {}")).toMatch(/primary/);
    expect(whyNot("primary: [")).not.toBe("accepted");
    expect(whyNot(`primary: { ${s3}, colour: red }`)).toMatch(/colour/);
    expect(whyNot("primary: { url: ftp://host/x }")).toMatch(/primary\.url/);
    expect(whyNot(`primary: { ${s3}, bandwidth: { upload: 20 } }`)).toMatch(
      /primary\.bandwidth\.upload: must be a size/,
    );
    expect(whyNot(`primary: { ${s3}, bandwidth: { timeZone: Mars/Crater } }`)).toMatch(/timeZone: must be a time zone/);
    expect(
      whyNot(`primary: { ${s3}, storageClasses: [{ after: 9d, class: archive }, { after: 1d, class: archive }] }`),
    ).toMatch(/order of age/);
    expect(whyNot(`primary: { ${s3}, credentials: { keyFile: /key.json } }`)).toMatch(
      /credentials: are not for this kind/,
    );
    expect(whyNot("primary: { url: /d, lockDays: 3 }")).toMatch(/lockDays: a directory has no object lock/);
    expect(whyNot("primary: { url: backups/shop }")).toMatch(/primary\.url: must be an absolute path/);
    expect(whyNot("primary: { url: /d, proxy: http://proxy:1 }")).toMatch(/proxy: a directory is not reached by/);
    expect(whyNot("primary: { url: 'gs://b', lockMode: governance }")).toMatch(/lockMode: only s3 has governance/);
    expect(whyNot(`primary: { ${s3}, endpoint: "https://user:hunter2@host" }`)).toMatch(/endpoint: .*without cred/);
    expect(whyNot(`primary: { ${s3}, proxy: "http://user:hunter2@proxy:1" }`)).toMatch(/primary\.proxy/);
    expect(whyNot(`{ primary: { ${s3} }, replicas: { primary: { ${s3} } } }`)).toMatch(
      /replica cannot be called primary/,
    );
    const secret = whyNot(`primary: { ${s3}, credentials: { accessKeyId: AKIAX, secretAccessKey: hunter2 } }`);
    expect(secret).toMatch(/primary\.credentials\.secretAccessKey: must be/);
    expect(whyNot(`primary: { ${s3}, credentials: {} }`)).toMatch(/primary\.credentials: must be/);
    for (const why of [secret, whyNot(`primary: { ${s3}, proxy: "http://user:hunter2@proxy:1" }`)])
      expect(why).not.toMatch(/hunter2|AKIAX/);
  });

  it("opens the primary and every replica with their wrappers", async () => {
    await using directory = await temporaryDirectory("targets");
    const [primary, replica] = [join(directory.path, "primary"), join(directory.path, "replica")];
    for (const path of [primary, replica])
      await (await openObjectStore(path, { environment: {}, create: true })).put("a", Buffer.from(path));
    const spec = parseTargets(
      `primary: { url: ${primary}, compression: max, cache: { directory: ${directory.path}/cache, size: 1 MiB } }
replicas: { far-away: { url: "file://${replica}", bandwidth: { download: 1 kB } } }`,
      "targets.yaml",
    );
    const calls: [string, ObservedCall["method"]][] = [];
    const slept: number[] = [];
    const observe = (target: string) => (call: ObservedCall) => calls.push([target, call.method]);
    const sleep = async (ms: number) => {
      slept.push(ms);
    };
    let nowMs = 0;
    const world = targetWorld({}, { observe, sleep, now: () => (nowMs += 100_000) });
    await using targets = await openTargets(spec, world);
    expect(targets.primary).toMatchObject({ name: "primary", compression: "max" });
    expect(targets.replicas.map(({ name }) => name)).toEqual(["far-away"]);
    await targets.primary.store.put("index/x", Buffer.from("x"));
    for (let i = 0; i < 3; i++) await targets.primary.store.get("index/x");
    expect(Buffer.from(await (targets.replicas[0]?.store.get("a") ?? Promise.reject())).toString()).toBe(replica);
    expect(calls).toEqual([
      ["primary", "put"],
      ["primary", "get"],
      ["far-away", "get"],
    ]);
  });

  it("can stand for its repository, whose primary is then meant", async () => {
    await using directory = await temporaryDirectory("targets");
    const file = join(directory.path, "targets.yaml");
    await writeFile(file, `primary: { url: ${directory.path}/repository }\n`);
    await using store = await openObjectStore(file, { environment: {}, create: true });
    await store.put("a", Buffer.from("x"));
    expect(store.url).toBe(`file://${directory.path}/repository`);
    await expect(openObjectStore(join(directory.path, "none.yaml"), { environment: {} })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
  });

  it("refuses a proxy that is none by where it stands, and shows neither it nor its password", async () => {
    const spec = parseTargets(`primary: { ${s3}, proxy: "\${env:PROXY}" }`, "targets.yaml");
    for (const PROXY of ["http://user:hunter2@two words:1", "user:hunter2@host:1", "socks5://user:hunter2@host:1"]) {
      const refused = await openTargets(spec, targetWorld({ PROXY })).catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: "CONFIG_INVALID", where: "${env:PROXY}" });
      expect(inspect(refused)).not.toContain("hunter2");
    }
  });

  it("says which secret is missing, by where it should be", async () => {
    const spec = parseTargets(
      `primary: { ${s3}, credentials: { accessKeyId: "\${env:NOT_THERE}", secretAccessKey: "\${env:NOR_HERE}" } }`,
      "targets.yaml",
    );
    await expect(openTargets(spec, targetWorld({}))).rejects.toMatchObject({
      code: "SECRET_MISSING",
      where: "environment variable NOT_THERE",
    });
  });
});
