import { parseOptions, USAGE, UsageError } from "./options.ts";
import { samplePlanText } from "./plan.ts";
import { startSample } from "./sample.ts";
import { seedSample } from "./seed.ts";

const say = (line: string) => process.stderr.write(`sample: ${line}\n`);

try {
  const options = parseOptions(process.argv.slice(2), process.env);
  switch (options.command) {
    case "seed": {
      const { documents, filled, kept } = await seedSample({ ...options, say });
      say(
        `${documents} documents; filled: ${filled.join(", ") || "none"}; already there: ${kept.join(", ") || "none"}`,
      );
      break;
    }
    case "plan":
      process.stdout.write(samplePlanText({ ...options, hookUrl: `http://127.0.0.1:${options.port}/quiesce` }));
      break;
    case "run": {
      const sample = await startSample({ ...options, say });
      // One line for a parent process, which learns the port from it.
      process.stdout.write(`${JSON.stringify({ url: sample.url, hookUrl: sample.hookUrl })}\n`);
      const stop = () => {
        sample.stop().catch(fail);
      };
      process.once("SIGINT", stop);
      process.once("SIGTERM", stop);
      await sample.ended.finally(() => sample.stop());
      break;
    }
  }
} catch (error) {
  if (error instanceof UsageError) process.stderr.write(`${error.message}\n\n${USAGE}\n`);
  else fail(error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

function fail(error: unknown): void {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
