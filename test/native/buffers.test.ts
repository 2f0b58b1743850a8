/**
 * Lifetimes of buffers over shared memory: no order of closing, exiting and loading crashes the process.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const run = (scenario: string) =>
  Effect.promise(() =>
    promisify(execFile)(process.execPath, [
      "--expose-gc",
      fileURLToPath(new URL("buffer-scenarios.ts", import.meta.url)),
      scenario
    ])
  )

describe("buffers over shared memory", () => {
  for (
    const [scenario, promise] of [
      ["view-after-close", "a view that outlives its region is empty, not a crash"],
      ["ring-view-after-close", "a view of a ring that outlives its region is empty, and writes to nothing"],
      ["pages-after-close", "a closed region is no longer mapped, even if handles and buffers of it live"],
      ["handles-after-close", "every call on a handle of a closed region is refused or does nothing"],
      ["reattached", "what is attached again lives on when the first attachment is closed"],
      ["rings-collected", "views of rings are collected while their region lives on"],
      ["exit-with-views", "process.exit with live views and an armed waiter is clean"],
      ["exit-while-serving", "process.exit while the sequencer runs is clean"],
      ["worker-while-creating", "a worker thread that is terminated while it makes a region leaves none"],
      ["worker", "worker threads load the module too, attach, and may be terminated while they wait"],
      ["double-load", "the module may be loaded twice"],
      ["collect", "views are collected while others of the same region live"]
    ] as const
  ) {
    it.live(promise, () =>
      Effect.gen(function*() {
        const { stderr, stdout } = yield* run(scenario)
        assert.strictEqual(stdout.trim(), "survived")
        assert.strictEqual(stderr, "")
      }))
  }
})
