/**
 * The page of charts that `npm run bench` writes: complete, and with every figure in the file beside it. Its figures mean
 * nothing here, so that other tests may run beside it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { decodeFromCompressedBase64 } from "hdr-histogram-js"
import { mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { run } from "../programs/harness.ts"

const rig = "bench/main.ts"

interface Report {
  readonly rounds: ReadonlyArray<
    ReadonlyArray<{ readonly values: ReadonlyArray<{ readonly latency?: string }> }>
  >
  readonly disagreeing: ReadonlyArray<string>
}

describe.skipIf(process.platform !== "linux")("bench report", () => {
  it.live(
    "writes a page of charts without a script, and every figure, and adds the runs of a former report",
    () =>
      Effect.gen(function*() {
        const folder = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "ringfence-report-"))),
          (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
        )
        const sizes = ["--mib", "4", "--trips", "100", "--attempts", "1", "--results", folder]
        const reported = (args: ReadonlyArray<string>) =>
          Effect.map(
            run(["report", ...sizes, ...args, "--json"], { patience: "5 minutes", program: rig }),
            ({ code, stderr, text }) => {
              assert.strictEqual(code, 0, stderr)
              const { figures, page } = JSON.parse(text) as { readonly page: string; readonly figures: string }
              return {
                figures,
                page: readFileSync(page, "utf8"),
                report: JSON.parse(readFileSync(figures, "utf8")) as Report
              }
            }
          )
        const { figures, page, report } = yield* reported([])
        assert.strictEqual(page.match(/<svg /g)?.length, 6)
        assert.notMatch(page, /<script|NaN|undefined|Infinity/)
        for (const title of ["Throughput by message size", "Latency by percentile", "Growth: readers"]) {
          assert.include(page, title)
        }
        for (const label of ["copy limit", "Unix socket, packed", "throughput, GB/s", "latency, microseconds"]) {
          assert.include(page, label)
        }
        assert.deepStrictEqual(report.disagreeing, [])
        const latencies = report.rounds.flat().flatMap(({ values }) => values).flatMap(({ latency }) => latency ?? [])
        assert.isAtLeast(latencies.length, 8)
        for (const latency of latencies) assert.isAbove(decodeFromCompressedBase64(latency).totalCount, 0)
        const former = join(folder, "former.json")
        renameSync(figures, former)
        const added = yield* reported(["--only", "latency", "--former", former])
        assert.lengthOf(added.report.rounds, 2)
        assert.strictEqual(added.page.match(/<svg /g)?.length, 6)
        const { code, stderr } = yield* run(["report", "--former", join(folder, "none.json")], { program: rig })
        assert.strictEqual(code, 2)
        assert.match(stderr, /cannot read .*none\.json/)
      }),
    11 * 60_000
  )
})
