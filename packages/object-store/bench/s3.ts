// What one process moves to and from an S3 server on this machine: `node packages/object-store/bench/s3.ts`.
import { randomBytes } from "node:crypto";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { Secret } from "@stillpoint/contracts/secret";
import { ensureVersitygw } from "@stillpoint/parts/versitygw-part";
import { startVersitygw } from "@stillpoint/parts/versitygw-server";
import { PARTS_DIRECTORY } from "@stillpoint/testkit/parts-directory";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { s3Store } from "../src/s3.ts";

const MIB = 1 << 20;
const TOTAL_BYTES = 512 * MIB;

await using directory = await temporaryDirectory("bench-s3");
const part = await ensureVersitygw({ directory: PARTS_DIRECTORY });
await using server = await startVersitygw({ part, dir: directory.path });
const { endpoint, region, accessKeyId, secretAccessKey } = server;
const bucket = "bench";
const admin = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
await admin.send(new CreateBucketCommand({ Bucket: bucket }));
admin.destroy();
const credentials = { accessKeyId: new Secret(accessKeyId), secretAccessKey: new Secret(secretAccessKey) };
await using store = s3Store({ bucket, prefix: "", region, endpoint, ...credentials });

async function megabytesPerSecond(bytes: number, atOnce: number, call: (name: string) => Promise<unknown>) {
  const names = Array.from({ length: TOTAL_BYTES / bytes }, (_, i) => `o-${bytes}-${i}`);
  const cpu = process.cpuUsage();
  const begin = performance.now();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let name = names.pop(); name !== undefined; name = names.pop()) await call(name);
    }),
  );
  const seconds = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const cpuMs = (user + system) / 1000;
  return `${(TOTAL_BYTES / 1e6 / seconds).toFixed(0)} MB/s, ${(cpuMs / (TOTAL_BYTES / MIB)).toFixed(2)} ms of CPU per MiB here`;
}

for (const mebibytes of [16, 32]) {
  const body = Array.from({ length: mebibytes }, () => randomBytes(MIB));
  for (const atOnce of [1, 4]) {
    const put = await megabytesPerSecond(mebibytes * MIB, atOnce, (name) => store.put(name, body));
    const get = await megabytesPerSecond(mebibytes * MIB, atOnce, (name) => store.get(name));
    process.stdout.write(`${mebibytes} MiB, ${atOnce} at once: put ${put}; get ${get}\n`);
  }
}
