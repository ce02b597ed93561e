// The images' HEALTHCHECK: 0 as soon as the service in this container can do its work.
const response = await fetch(`http://127.0.0.1:${process.env.STILLPOINT_HEALTH_PORT}/ready`);
process.exitCode = response.ok ? 0 : 1;
