import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { environment: "node", env: { TZ: "UTC" }, include: ["src/**/*.test.ts"], sequence: { shuffle: true } },
});
