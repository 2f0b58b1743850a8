import { join } from "node:path"
import { defineConfig } from "vitest/config"

// The hundreds of processes that tests start all load the same modules: a compile cache halves the cost of each start.
process.env["NODE_COMPILE_CACHE"] ??= join(import.meta.dirname, "node_modules/.cache/compiled")

// What the other run is there for: see docs/testing.md
const isLong = process.env["RINGFENCE_LONG"] !== undefined
const exclude = [isLong ? "test/**/!(*.long|*.rounds).test.ts" : "test/**/*.long.test.ts"]

const inHeap = ["test/memory/*.test.ts"]

// They compare measurements with bounds, or need all cores for their processes.
const alone = ["test/native/allocation.test.ts", "test/bench/!(report.long).test.ts"]

export default defineConfig({
  test: {
    // forks, so that a crash in the native module takes one file down and not the run
    pool: "forks",
    globalSetup: "test/bundles.ts",
    testTimeout: 90_000,
    hookTimeout: 30_000,
    projects: [
      {
        extends: true,
        // One process for many files: they leave nothing behind in it.
        test: { name: "in the heap", include: inHeap, exclude, isolate: false, maxWorkers: 2 }
      },
      {
        extends: true,
        test: {
          name: "side by side",
          include: ["test/**/*.test.ts"],
          exclude: [...exclude, ...inHeap, ...alone],
          maxWorkers: 2
        }
      },
      {
        extends: true,
        test: { name: "alone", include: alone, exclude, fileParallelism: false, sequence: { groupOrder: 1 } }
      }
    ]
  }
})
