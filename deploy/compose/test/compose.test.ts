import { existsSync } from "node:fs";
import { duration } from "@stillpoint/contracts/duration";
import { planFile } from "@stillpoint/contracts/plan";
import { installationSettings } from "@stillpoint/contracts/settings";
import type { SourceSpec } from "@stillpoint/contracts/source";
import { NODE_FLAGS } from "@stillpoint/repository/node-flags";
import { parseSettings } from "@stillpoint/service/environment";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import {
  type ComposeService,
  composeFile,
  composeText,
  dockerfile,
  imageArgument,
  imageTarget,
  interpolate,
  textOf,
  variablesOf,
} from "./compose-file.ts";
import { ownSettings, root, services, settingsOf } from "./service-settings.ts";

const all = Object.entries(composeFile.services);
const planText = textOf("deploy/compose/plan/plan.yaml");
const example = new Map(
  [...textOf("deploy/compose/.env.example").matchAll(/^([A-Z0-9_]+)=(.*)$/gm)].map(([, name = "", value = ""]) => [
    name,
    value,
  ]),
);
const SECRET = /PASSWORD|TOKEN|SECRET|API_KEY|_AUTH$/;

function composeService(name: string): ComposeService {
  const found = composeFile.services[name];
  if (found === undefined) throw new Error(`docker-compose.yml has no service ${name}`);
  return found;
}

describe.each(services)("services/%s", (name) => {
  test("has a container, from the Dockerfile's target of its name, that runs its main without root's rights", () => {
    expect(composeService(name).build).toEqual({ context: ".", dockerfile: "deploy/images/Dockerfile", target: name });
    const target = imageTarget(name);
    const takesBytes = name === "vault" || name.startsWith("agent-");
    expect(target.entrypoint).toEqual([
      "node",
      ...(takesBytes ? NODE_FLAGS : []),
      "--disable-warning=ExperimentalWarning",
      `services/${name}/src/main.ts`,
    ]);
    expect(existsSync(new URL(`services/${name}/src/main.ts`, root))).toBe(true);
    expect(target.user).not.toBe("root");
  });

  test("is given settings that it knows, and with which it starts", () => {
    const given = { ...imageTarget(name).environment, ...composeService(name).environment };
    const known = [ownSettings(name), installationSettings]
      .flatMap(settingsOf)
      .flatMap((one) => [one.name, `${one.name}_FILE`]);
    expect(Object.keys(given).filter((key) => key.startsWith("STILLPOINT_") && !known.includes(key))).toEqual([]);
    const environment = Object.fromEntries(
      Object.entries(given).map(([key, value]) => [key, interpolate(value, "given")]),
    );
    for (const schema of [installationSettings, ownSettings(name)]) {
      expect(parseSettings(schema, { environment, readFile: () => "given" }).bad).toBeUndefined();
    }
  });

  test("may take longer to be stopped than it takes to stop", () => {
    const withinMs = installationSettings.parse({}).STILLPOINT_STOP_WITHIN_MS;
    expect(duration.parse(composeService(name).stop_grace_period)).toBeGreaterThan(withinMs);
  });
});

test("every image of ours is one that the Dockerfile makes", () => {
  for (const [, { build }] of all) {
    if (build !== undefined) expect(imageTarget(build.target).entrypoint[0]).toBe("node");
  }
});

test("agents stand on the image of the store that runs here", () => {
  for (const store of ["postgres", "neo4j", "qdrant"]) {
    expect(imageArgument(imageTarget(`agent-${store}`).from)).toBe(composeService(store).image);
  }
});

test("every file that is named exists", () => {
  const mounted = all
    .flatMap(([, { volumes }]) => volumes)
    .map((volume) => interpolate(volume, "").split(":")[0] ?? "");
  const profiles = all
    .flatMap(([, { security_opt }]) => security_opt)
    .flatMap((option) => option.split("seccomp:")[1] ?? []);
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths = ""]) => paths.split(" "));
  const run = [...dockerfile.matchAll(/^RUN (deploy\/\S+)/gm)].map(([, path = ""]) => path);
  const files = [...mounted.filter((path) => path.startsWith(".")), ...profiles, ...copied, ...run];
  expect(files.length).toBeGreaterThan(10);
  expect(files.filter((path) => !existsSync(new URL(path, root)))).toEqual([]);
  const named = mounted.filter((path) => !path.startsWith("."));
  expect(named.filter((volume) => !(volume in composeFile.volumes))).toEqual([]);
});

test("no secret stands in the file, none has a default, and none is asked for that the example does not name", () => {
  for (const [name, { environment }] of all) {
    for (const [key, value] of Object.entries(environment)) {
      if (!SECRET.test(key) || value.startsWith("/run/secrets/")) continue;
      expect(value, `${name}: ${key}`).toMatch(/^(neo4j\/|")?\$\{[A-Z0-9_]+:\?[^}]+\}"?$/);
    }
  }
  const { required, withDefault } = variablesOf(composeText);
  const sources = Object.values(composeFile.secrets).map(({ environment }) => environment);
  expect([...required, ...sources].filter((name) => !example.has(name))).toEqual([]);
  expect(withDefault.filter((name) => SECRET.test(name))).toEqual([]);
  expect([...example].filter(([name, value]) => SECRET.test(name) && value !== "")).toEqual([]);
});

test("nobody waits for, joins or is handed what is not there", () => {
  for (const [name, { depends_on, networks, secrets }] of all) {
    expect(
      Object.keys(depends_on).filter((other) => !(other in composeFile.services)),
      name,
    ).toEqual([]);
    expect(
      networks.filter((network) => !(network in composeFile.networks)),
      name,
    ).toEqual([]);
    expect(
      secrets.filter((secret) => !(secret in composeFile.secrets)),
      name,
    ).toEqual([]);
    for (const [other, { condition }] of Object.entries(depends_on)) {
      if (condition !== "service_healthy") continue;
      const { build, healthcheck } = composeService(other);
      expect(healthcheck !== undefined || build !== undefined, `${other} has a health check`).toBe(true);
    }
  }
});

test("what is published is for this machine alone, and agents and stores cannot reach the outside", () => {
  expect(all.flatMap(([, { ports }]) => ports).filter((port) => !port.startsWith("127.0.0.1:"))).toEqual([]);
  const inside = all.filter(
    ([name]) => name.startsWith("agent-") || ["postgres", "neo4j", "qdrant", "vault", "s3"].includes(name),
  );
  for (const [name, { networks }] of inside) {
    expect(
      networks.filter((network) => composeFile.networks[network]?.internal !== true),
      name,
    ).toEqual([]);
  }
});

describe("the plan beside it", () => {
  const { demo } = planFile.parse(parse(planText)).plans;
  const sources: [string, SourceSpec][] = Object.entries(demo?.sources ?? {});

  test("has a source of every kind", () => {
    expect(new Set(sources.map(([, { kind }]) => `agent-${kind}`))).toEqual(
      new Set(services.filter((name) => name.startsWith("agent-"))),
    );
  });

  test("names hosts, files and secrets that those who need them have", () => {
    for (const [name, spec] of sources) expectReachable(name, composeService(`agent-${spec.kind}`), spec);
    expectReachable("the hook", composeService("orchestrator"), demo?.cut.hook);
  });
});

/** Whatever a part of the plan refers to: `http://host`, `/path`, `${file:/run/secrets/…}`. */
function expectReachable(what: string, from: ComposeService, part: unknown): void {
  const text = JSON.stringify(part);
  for (const [, host = ""] of text.matchAll(/:\/\/(?:\w+@)?([a-z0-9-]+)[:/]/g)) {
    const { networks } = composeService(host);
    expect(
      networks.some((network) => from.networks.includes(network)),
      `${what} reaches ${host}`,
    ).toBe(true);
  }
  for (const [, secret = ""] of text.matchAll(/\$\{file:\/run\/secrets\/(\w+)\}/g)) {
    expect(from.secrets, `${what} reads ${secret}`).toContain(secret);
  }
  for (const [, path = ""] of text.matchAll(/"(\/[^"]+)"/g)) {
    const targets = from.volumes.map((volume) => volume.split(":")[1] ?? "");
    expect(
      targets.some((target) => path.startsWith(target)),
      `${what} sees ${path}`,
    ).toBe(true);
  }
}
