import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    // `npm run test:long` runs what takes minutes, `npm test` all else
    include: [process.env["RINGFENCE_LONG"] === undefined ? "test/**/!(*.long).test.ts" : "test/**/*.long.test.ts"],
    // forks, so that a crash in the native module takes one file down and not the run
    pool: "forks",
    // suites start processes of their own: one file at a time keeps two cores honest
    fileParallelism: false,
    testTimeout: 30_000,
    hookTimeout: 30_000
  }
})
