import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { chmod, chown, copyFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { StillpointError } from "@stillpoint/contracts/errors";
import { resolveSecret } from "@stillpoint/contracts/secret";
import { type PostgresSource, postgresSource } from "@stillpoint/contracts/source";
import { ownPostgres } from "@stillpoint/testkit/postgres";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { afterAll, beforeAll, expect, test } from "vitest";
import { postgresDriver } from "../src/postgres-driver.ts";
import { passwordFor } from "../src/source-password.ts";
import { connected, contextFor } from "./subject.ts";

const resources = new AsyncDisposableStack();
let server: Awaited<ReturnType<typeof ownPostgres>>;
let root: string;
const never = new AbortController().signal;
const openssl = async (...args: string[]) => void (await promisify(execFile)("openssl", args));

/** An authority, and what it signed: the server's certificate for its address, and a client's for a role. */
async function certificates(directory: string): Promise<void> {
  const at = (name: string) => join(directory, name);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  for (const authority of ["ca", "other"])
    await openssl(
      "req",
      "-x509",
      ...key,
      "-days",
      "2",
      "-subj",
      `/CN=${authority}`,
      "-keyout",
      at(`${authority}.key`),
      "-out",
      at(`${authority}.pem`),
    );
  for (const [name, subject, alternative] of [
    ["server", "/CN=db.internal", "IP:127.0.0.1"],
    ["client", "/CN=certified", "DNS:certified"],
  ] as const) {
    await writeFile(at(`${name}.ext`), `subjectAltName=${alternative}\n`);
    await openssl("req", ...key, "-subj", subject, "-keyout", at(`${name}.key`), "-out", at(`${name}.csr`));
    await openssl(
      "x509",
      "-req",
      "-days",
      "2",
      "-in",
      at(`${name}.csr`),
      "-CA",
      at("ca.pem"),
      "-CAkey",
      at("ca.key"),
      "-CAcreateserial",
      "-extfile",
      at(`${name}.ext`),
      "-out",
      at(`${name}.pem`),
    );
  }
}

beforeAll(async () => {
  root = resources.use(await temporaryDirectory("tls")).path;
  await certificates(root);
  server = resources.use(await ownPostgres());
  const { dataDirectory } = server;
  const { uid, gid } = await stat(dataDirectory);
  for (const name of ["server.key", "server.pem", "ca.pem"]) {
    await copyFile(join(root, name), join(dataDirectory, name));
    await chown(join(dataDirectory, name), uid, gid);
    await chmod(join(dataDirectory, name), 0o600);
  }
  const client = await connected(server.url());
  await client.query(
    "create role certified login replication; create role secretive login replication password 'p:w\\d'",
  );
  await client.query("grant execute on function pg_create_restore_point(text) to certified, secretive");
  for (const [name, value] of [
    ["ssl_cert_file", "server.pem"],
    ["ssl_key_file", "server.key"],
    ["ssl_ca_file", "ca.pem"],
    ["ssl", "on"],
  ])
    await client.query(`alter system set ${name} = '${value}'`);
  await client.end();
  // From elsewhere nobody comes in but encrypted; one role by its certificate, the other by its password.
  await writeFile(
    join(dataDirectory, "pg_hba.conf"),
    [
      "local all all trust",
      ...["all", "replication"].flatMap((database) => [
        `hostssl ${database} certified 127.0.0.1/32 cert`,
        `hostssl ${database} secretive 127.0.0.1/32 scram-sha-256`,
      ]),
    ].join("\n"),
  );
  await server.stop();
  await server.restart();
});
afterAll(async () => await resources.disposeAsync());

function sourceWith(user: string, query: string, more: { passfile?: string; host?: string } = {}): PostgresSource {
  const { host = "127.0.0.1", ...rest } = more;
  return postgresSource.parse({
    kind: "postgres",
    url: `postgres://${user}@${host}:${server.port}/postgres?${query}`,
    ...rest,
  });
}

async function opened(source: PostgresSource): Promise<unknown> {
  const readers = { environment: {}, readFile: (path: string) => readFileSync(path, "utf8") };
  const context = {
    ...contextFor(server, root, never),
    secret: (reference: string) => resolveSecret(reference, readers),
  };
  try {
    await using capture = await postgresDriver.open(source, context);
    return capture.description.version;
  } catch (error) {
    return error;
  }
}

const authority = () => `sslmode=verify-full&sslrootcert=${join(root, "ca.pem")}`;
const certificate = () => `sslcert=${join(root, "client.pem")}&sslkey=${join(root, "client.key")}`;

test("a role comes in by its client certificate, to a server that an own authority vouches for, and needs no password", async () => {
  expect(await opened(sourceWith("certified", `${authority()}&${certificate()}`))).toContain("PostgreSQL");
  expect(await opened(sourceWith("certified", authority()))).toMatchObject({
    code: "SOURCE_DENIED",
    hint: expect.stringContaining("sslcert"),
  });
});

test("a server that another authority vouches for, or nobody, or under another name, is not spoken to", async () => {
  const other = `sslmode=verify-full&sslrootcert=${join(root, "other.pem")}`;
  expect(await opened(sourceWith("certified", `${other}&${certificate()}`))).toMatchObject({
    code: "SOURCE_UNREACHABLE",
    hint: expect.stringContaining("sslrootcert="),
  });
  expect(await opened(sourceWith("certified", `sslmode=verify-full&${certificate()}`))).toMatchObject({
    code: "SOURCE_UNREACHABLE",
  });
  const elsewhere = { host: "localhost" };
  expect(await opened(sourceWith("certified", `${authority()}&${certificate()}`, elsewhere))).toMatchObject({
    hint: expect.stringContaining("another name"),
  });
  const anyName = authority().replace("verify-full", "verify-ca");
  expect(await opened(sourceWith("certified", `${anyName}&${certificate()}`, elsewhere))).toContain("PostgreSQL");
});

test("where the server takes encrypted connections only, one in the clear is told what to add", async () => {
  expect(await opened(sourceWith("secretive", "sslmode=disable"))).toMatchObject({
    code: "SOURCE_DENIED",
    hint: expect.stringContaining("sslmode=require"),
  });
});

test("certificates that are not there, and a mode that does not exist, are told before anybody is spoken to", async () => {
  expect(await opened(sourceWith("certified", "sslmode=verify-full&sslrootcert=/nowhere/ca.pem"))).toMatchObject({
    code: "SECRET_MISSING",
    where: "/nowhere/ca.pem",
  });
  expect(await opened(sourceWith("certified", "sslmode=verify-ful"))).toMatchObject({ code: "INVALID_REQUEST" });
  // Where a rehearsal asks for a source's addresses, its certificates are not.
  expect(postgresDriver.addresses(sourceWith("certified", "sslmode=verify-full&sslrootcert=/nowhere/ca.pem"))).toEqual([
    `127.0.0.1:${server.port}`,
  ]);
});

test("a password comes from the passfile's first line that fits, and one that fits nowhere is told without a password", async () => {
  const passfile = join(root, "pgpass");
  await writeFile(
    passfile,
    `# ours\n127.0.0.1:${server.port}:*:somebody:wrong\n*:*:*:secretive:p\\:w\\\\d\n127.0.0.1:*:*:secretive:later\n`,
  );
  expect(await opened(sourceWith("secretive", authority(), { passfile }))).toContain("PostgreSQL");
  await writeFile(passfile, `127.0.0.1:${server.port}:*:somebody:hush\n`);
  const error = await opened(sourceWith("secretive", authority(), { passfile }));
  expect(error).toMatchObject({ code: "SECRET_MISSING", where: passfile, why: expect.stringContaining(":secretive") });
  expect(error instanceof StillpointError && JSON.stringify([error.toBody(), error.stack])).not.toContain("hush");
  expect(await opened(sourceWith("secretive", authority(), { passfile: `${passfile}-gone` }))).toMatchObject({
    code: "SECRET_MISSING",
  });
});

test("a passfile is read as libpq reads it", async () => {
  const address = { host: "db", port: 5432, user: "u", database: "d", tls: {} };
  expect(passwordFor("db:5432:d:u:", address)).toBe("");
  expect(passwordFor("db:5432:d:u", address)).toBeUndefined();
  expect(passwordFor("d\\b:5432:*:u:with: colon", address)).toBe("with");
  expect(passwordFor("#db:5432:d:u:x\r\ndb:5433:d:u:y\r\ndb:*:*:*:z\r\n", address)).toBe("z");
  expect(passwordFor("localhost:*:*:*:z", { ...address, host: "/run/postgresql" })).toBe("z");
});
