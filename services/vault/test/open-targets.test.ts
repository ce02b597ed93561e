import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { vaultConfig } from "../src/config.ts";
import { openVaultTargets } from "../src/open-targets.ts";

const others = { STILLPOINT_KEY_FILE: "key", STILLPOINT_VAULT_DIRECTORY: "vault" };

function contextFor(settings: Record<string, string>) {
  const registry = new Registry();
  const silently = () => undefined;
  const log = { debug: silently, info: silently, warn: silently, error: silently };
  const clock = { now: Date.now, monotonicMs: () => performance.now() };
  return {
    registry,
    context: { config: vaultConfig.parse({ ...others, ...settings }), environment: {}, clock, registry, log },
  };
}

describe("the vault's targets", () => {
  it("are named by one of the two settings", () => {
    for (const settings of [{}, { STILLPOINT_REPOSITORY: "/a", STILLPOINT_TARGETS_FILE: "/b" }])
      expect(vaultConfig.safeParse({ ...others, ...settings }).error?.issues[0]?.path).toEqual([
        "STILLPOINT_REPOSITORY",
      ]);
  });

  it("are opened by a targets file with their replicas, and counted each by its name", async () => {
    await using directory = await temporaryDirectory("targets");
    const [one, two, file] = ["one", "two", "targets.yaml"].map((name) => join(directory.path, name));
    if (one === undefined || two === undefined || file === undefined) throw new Error("unreachable: three names");
    for (const path of [one, two]) await mkdir(path);
    await writeFile(file, `primary: { url: ${one}, compression: max }\nreplicas: { cellar: { url: ${two} } }\n`);
    const { registry, context } = contextFor({ STILLPOINT_TARGETS_FILE: file });
    await using targets = await openVaultTargets(context);
    expect(targets.primary.compression).toBe("max");
    await targets.primary.store.put("a", Buffer.from("abc"));
    const [replica] = targets.replicas;
    expect(replica?.name).toBe("cellar");
    await expect(replica?.store.get("a")).rejects.toMatchObject({ code: "OBJECT_MISSING" });
    const metrics = await registry.metrics();
    expect(metrics).toContain('stillpoint_store_bytes_total{target="primary",direction="sent"} 3');
    expect(metrics).toContain('stillpoint_store_errors_total{target="cellar",method="get",code="OBJECT_MISSING"} 1');
    expect(metrics).toContain('stillpoint_store_call_seconds_count{target="primary",method="put"} 1');
  });

  it("are one where only a URL is given", async () => {
    await using directory = await temporaryDirectory("targets");
    const { context } = contextFor({ STILLPOINT_REPOSITORY: directory.path });
    await using targets = await openVaultTargets(context);
    expect(targets.primary.store.url).toBe(`file://${directory.path}`);
    expect(targets.replicas).toEqual([]);
    await expect(openVaultTargets(contextFor({ STILLPOINT_REPOSITORY: "ftp://x/y" }).context)).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
  });
});
