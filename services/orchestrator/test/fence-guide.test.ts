import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { cutRule, hook } from "@stillpoint/contracts/plan";
import { Secret } from "@stillpoint/contracts/secret";
import { type FenceTransport, quiesce, release } from "@stillpoint/orchestrator/fence";
import { startSample } from "@stillpoint/sample/sample";
import { seedSample } from "@stillpoint/sample/seed";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";

const guide = readFileSync(new URL("../../../docs/guide/fence-hook.md", import.meta.url), "utf8");
const bodies = [...guide.matchAll(/```json\n([^`]+)```/g)].map(([, text = ""]): unknown => JSON.parse(text));
const [quiesceBody, quiesceAnswer, releaseBody, releaseAnswer] = bodies;
const asked = z.object({ fenceId: z.string(), ttlMs: z.number() }).parse(quiesceBody);

function transport(requestJson: FenceTransport["requestJson"]): FenceTransport {
  return { secret: () => new Secret("a-token"), requestJson };
}
const noNats = transport(() => Promise.reject(new Error("not asked for")));

test("the guide has the two verbs and their two answers", () => {
  expect(bodies).toHaveLength(4);
});

describe("what the orchestrator sends is what the guide says, and the guide's answers are understood", () => {
  test("over HTTP, with the token", async () => {
    const seen: unknown[] = [];
    const server = createServer(async (request, response) => {
      const { method, headers } = request;
      seen.push({
        method,
        type: headers["content-type"],
        authorization: headers.authorization,
        body: await json(request),
      });
      response.end(JSON.stringify(seen.length === 1 ? quiesceAnswer : releaseAnswer));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo; // it listens on TCP
    const over = { http: `http://127.0.0.1:${port}/quiesce`, token: "${env:HOOK_TOKEN}" };
    try {
      expect(await quiesce(over, asked, noNats)).toEqual(quiesceAnswer);
      expect(await release(over, asked.fenceId, 5_000, noNats)).toEqual(releaseAnswer);
    } finally {
      server.closeAllConnections();
      server.close();
    }
    const common = { method: "POST", type: "application/json", authorization: "Bearer a-token" };
    expect(seen).toEqual([
      { ...common, body: quiesceBody },
      { ...common, body: releaseBody },
    ]);
  });

  test("over NATS", async () => {
    const seen: unknown[] = [];
    const nats = transport(async (subject, body) => {
      seen.push({ subject, body });
      return seen.length === 1 ? quiesceAnswer : releaseAnswer;
    });
    expect(await quiesce({ nats: "app.quiesce" }, asked, nats)).toEqual(quiesceAnswer);
    expect(await release({ nats: "app.quiesce" }, asked.fenceId, 5_000, nats)).toEqual(releaseAnswer);
    expect(seen).toEqual([
      { subject: "app.quiesce", body: quiesceBody },
      { subject: "app.quiesce", body: releaseBody },
    ]);
  });

  test("by a command", async () => {
    const program = `process.stdin.toArray().then((parts) => {
      require("node:assert").deepEqual(JSON.parse(Buffer.concat(parts)), JSON.parse(process.argv[1]));
      process.stdout.write(process.argv[2]);
    })`;
    const command = [process.execPath, "-e", program, JSON.stringify(quiesceBody), JSON.stringify(quiesceAnswer)];
    expect(await quiesce({ command }, asked, noNats)).toEqual(quiesceAnswer);
  });

  test("in the plan as the guide writes it", () => {
    const written = [...guide.matchAll(/`(hook: \{.+\})` \|/g)].map(([, text = ""]) =>
      z.object({ hook }).parse(parse(text)),
    );
    expect(written.map((one) => Object.keys(one.hook)[0])).toEqual(["http", "nats", "command"]);
    expect(cutRule.safeParse({ mode: "fence", ...written[0] }).success).toBe(true);
  });
});

test("the sample answers as the guide says, in every case of its table", async () => {
  const directory = await mkdtemp(join(tmpdir(), "stillpoint-fence-"));
  const options = { connections: { files: { directory: join(directory, "files") } }, scale: 0.0001 };
  await seedSample(options);
  const sample = await startSample({ ...options, stateDirectory: join(directory, "state"), token: "a-token" });
  const post = async (body: unknown, token = "a-token") => {
    const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
    const response = await fetch(sample.hookUrl, { method: "POST", headers, body: JSON.stringify(body) });
    return { status: response.status, answer: z.record(z.string(), z.unknown()).parse(await response.json()) };
  };
  try {
    const quiet = await post(quiesceBody);
    const cases = [
      quiet,
      await post({ ...asked, verb: "quiesce", fenceId: "another" }),
      await post(quiesceBody), // the same again, while it is held
      await post(releaseBody),
      await post(quiesceBody), // late
      await post(releaseBody),
      await post(quiesceBody, "wrong"),
      await post({ verb: "hush" }),
    ];
    expect(cases[2]).toEqual(quiet);
    expect(cases[3]?.answer).toEqual(releaseAnswer);
    expect(cases[5]?.answer).toEqual({ heldThroughout: false });
    const table = [...guide.matchAll(/^\| [^|]+ \| (\d{3}) \| ([^|]+) \|$/gm)].map(([, status, fields = ""]) => ({
      status: Number(status),
      fields: fields.replaceAll("`", "").trim().split(", ").sort(),
    }));
    const seen = cases.map(({ status, answer }) => ({ status, fields: Object.keys(answer).sort() }));
    for (const row of table) expect(seen).toContainEqual(row);
    for (const one of seen) expect(table).toContainEqual(one);
  } finally {
    await sample.stop();
    await rm(directory, { recursive: true });
  }
});
