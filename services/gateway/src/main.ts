import { runService } from "@stillpoint/service/run-service";
import { service } from "./service.ts";

await runService(service);
