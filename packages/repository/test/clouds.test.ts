import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { ownContainer } from "@stillpoint/testkit/azure";
import { ownGcsBucket } from "@stillpoint/testkit/gcs";
import { describe, expect, it } from "vitest";
import { digests, file, head, makeRepository, noise, open, tarOf, unpack } from "./trial.ts";

const MB = 1_000_000;

const places = {
  "Azure Blob": async () => {
    const { endpoint, account, accountKey, container } = await ownContainer();
    const environment = { AZURE_STORAGE_ACCOUNT: account, AZURE_STORAGE_KEY: accountKey };
    return { url: `azure://${container}/a/prefix?endpoint=${encodeURIComponent(endpoint)}`, environment };
  },
  "Google Cloud Storage": async () => {
    const { endpoint, bucket } = await ownGcsBucket();
    const url = `gs://${bucket}/a/prefix?endpoint=${encodeURIComponent(endpoint)}&credentials=none`;
    return { url, environment: {} };
  },
};

// S3's is in pressure.test.ts, with bytes flipped behind its back.
describe.each(Object.entries(places))("a repository on %s", (_, place) => {
  it("comes back byte by byte, stores nothing twice, and refuses to be made again", async () => {
    const { url, environment } = await place();
    await using store = await openObjectStore(url, { environment });
    await makeRepository(store);
    await expect(makeRepository(store)).rejects.toMatchObject({ code: "REPOSITORY_EXISTS" });
    await using repository = await open(store);
    const items = [file("a", noise(1, 3 * MB)), file("b", noise(2, 2 * MB), "page:8192"), file("c", Buffer.from("c"))];
    await repository.writeBackup(head("one"), tarOf(items));
    expect((await repository.writeBackup(head("two"), tarOf(items))).storedBytes).toBe(0);
    await using again = await openObjectStore(url, { environment });
    await using reopened = await open(again);
    expect(digests(await unpack(reopened.readBackup("one")))).toEqual(digests(items));
    expect((await reopened.check({ readData: true })).problems).toEqual([]);
  });
});
