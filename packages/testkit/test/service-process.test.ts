import { isAlive } from "@stillpoint/parts/process-tree";
import { ownNats } from "@stillpoint/testkit/nats";
import { startService } from "@stillpoint/testkit/service-process";
import { expect, test } from "vitest";

test("a service in a process of its own is ready, killed, there again, and gone after its scope", async () => {
  await using nats = await ownNats();
  let pid: number;
  {
    await using service = await startService("scheduler", { STILLPOINT_NATS_URL: nats.url });
    const before = service.pid;
    await service.kill();
    await expect(fetch(`${service.healthUrl}/live`)).rejects.toThrow();
    await service.restart();
    pid = service.pid;
    expect(pid).not.toBe(before);
    expect(await (await fetch(`${service.healthUrl}/live`)).json()).toMatchObject({ services: ["scheduler"] });
  }
  expect(await isAlive(pid)).toBe(false);
});
