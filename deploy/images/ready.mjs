// The images' HEALTHCHECK: 0 as soon as the service in this container can do its work.
// biome-ignore lint/suspicious/noUndeclaredEnvVars: it runs in an image, and is no task of turbo
const response = await fetch(`http://127.0.0.1:${process.env.STILLPOINT_HEALTH_PORT}/ready`);
process.exitCode = response.ok ? 0 : 1;
