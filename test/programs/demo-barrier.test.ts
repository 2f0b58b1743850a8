/**
 * The demonstration of the barrier as its users run it: it passes, it fails when it must, and a death changes little.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { childrenOf, filesOf, isAlive, type Program, run, start, untilTrue } from "./harness.ts"

interface Report {
  readonly passed: boolean
  readonly checks: ReadonlyArray<{ readonly name: string; readonly holds: boolean; readonly detail: string }>
  readonly members: ReadonlyArray<
    { readonly member: string; readonly died: string | null; readonly barriers: number; readonly handled: number }
  >
  readonly iterations: ReadonlyArray<
    { readonly missing: number; readonly drained: number; readonly departed: ReadonlyArray<string> }
  >
  readonly traces: ReadonlyArray<{ readonly side: string; readonly backlogBefore: number }>
}

const small = ["--members", "3", "--iterations", "8", "--burst", "5", "--handler-delay", "4ms"]

const reportOf = (args: ReadonlyArray<string>) =>
  Effect.map(run(["demo", "barrier", ...args, "--json"], { patience: "60 seconds" }), ({ code, stderr, text }) => ({
    code,
    stderr,
    report: JSON.parse(text) as Report
  }))

const failedIn = ({ checks }: Report) => checks.filter(({ holds }) => !holds).map(({ name }) => name)

const missingIn = ({ iterations }: Report) => iterations.reduce((sum, { missing }) => sum + missing, 0)

const leftBy = ({ pid }: Program) => filesOf(`demo-barrier-${pid}`)

/** A run that is far from its end, with all its members at work. */
const longRun = Effect.gen(function*() {
  const program = yield* start(["demo", "barrier", "--iterations", "100000"])
  yield* untilTrue("all members at work", () => childrenOf(program.pid).length === 3)
  yield* program.noticed(/barrier +\d+ %/)
  return program
})

describe.skipIf(process.platform !== "linux")("demo barrier", () => {
  it.live("passes as it is, with nothing missing", () =>
    Effect.gen(function*() {
      const { code, stderr, text } = yield* run(["demo", "barrier"], { patience: "60 seconds" })
      assert.strictEqual(code, 0, stderr + text)
      assert.match(stderr, /64 iterations: each sends 8 messages to all, then enters a barrier \(deliveryFence\)/)
      assert.match(text, /^an iteration +[\d.]+ m?s +[\d.]+ m?s +\d+$/m)
      assert.match(text, /^member-3 +64 +2,048 +0$/m)
      assert.strictEqual(text.match(/^✓ /gm)?.length, 6)
      assert.notMatch(text, /✗/)
    }))

  it.live("keeps what each mode promises", () =>
    Effect.gen(function*() {
      for (const mode of ["deliveryFence", "processingFence", "rendezvous"]) {
        const { code, report, stderr } = yield* reportOf([...small, "--mode", mode, "--trace"])
        assert.strictEqual(code, 0, stderr)
        assert.isTrue(report.passed)
        assert.deepStrictEqual(report.members.map(({ barriers, handled }) => [barriers, handled]), [
          [8, 120],
          [8, 120],
          [8, 120]
        ])
        if (mode !== "rendezvous") assert.strictEqual(missingIn(report), 0)
        if (mode === "rendezvous") assert.isAbove(missingIn(report), 0)
        if (mode === "deliveryFence") assert.isTrue(report.traces.some(({ backlogBefore }) => backlogBefore > 0))
      }
    }))

  it.live("fails with the missing messages when draining is switched off", () =>
    Effect.gen(function*() {
      for (const [mode, through] of [["deliveryFence", "delivered"], ["processingFence", "handled"]] as const) {
        const { code, report, stderr } = yield* reportOf([...small, "--mode", mode, "--drain", "off"])
        assert.strictEqual(code, 1)
        assert.match(stderr, new RegExp(`messages sent before a barrier are ${through} when it returns`))
        assert.isAbove(missingIn(report), 0)
        assert.deepStrictEqual(failedIn(report).length, 2)
        // The messages are late, but not lost.
        assert.isTrue(report.members.every(({ handled }) => handled === 120))
      }
    }))

  it.live("goes on without a member that was killed, and names it", () =>
    Effect.gen(function*() {
      const { code, report, stderr } = yield* reportOf(["--kill", "2@20", "--iterations", "30"])
      assert.strictEqual(code, 0, stderr)
      assert.deepStrictEqual(report.members.map(({ died }) => died), [null, null, "killed by SIGKILL", null])
      const named = report.iterations.map(({ departed }) => departed.join())
      assert.deepStrictEqual(named, Array.from({ length: 30 }, (_, i) => i === 19 ? "member-2" : ""))
      assert.strictEqual(missingIn(report), 0)
      assert.include(report.checks.map(({ name }) => name), "the iteration of the death takes at most 300.0 ms longer")
    }))

  it.live("refuses what cannot be done before anything starts", () =>
    Effect.gen(function*() {
      const refused = (args: ReadonlyArray<string>, line: RegExp) =>
        Effect.map(run(["demo", "barrier", ...args]), ({ code, stderr, text }) => {
          assert.match(stderr, line)
          assert.deepStrictEqual([code, text], [2, ""])
        })
      yield* refused(["--kill", "0@3"], /^ringfence: --kill: member 0 coordinates and reports: kill another\n$/)
      yield* refused(["--kill", "4@3"], /^ringfence: --kill: there is no member 4: members are 0 to 3\n$/)
      yield* refused(["--kill", "1@65"], /^ringfence: --kill: there is no iteration 65: iterations are 1 to 64\n$/)
      yield* refused(["--kill", "soon"], /"soon" is not a member and an iteration: write 2@20/)
      yield* refused(["--mode", "flush"], /deliveryFence/)
      yield* refused(["--drain", "maybe"], /on.*off/)
      yield* refused(["--members", "33"], /33 is not between 1 and 32/)
      yield* refused(["--handler-delay", "long"], /"long" is not a time/)
    }))

  it.live("ends cleanly when it is interrupted, and takes its members with it", () =>
    Effect.gen(function*() {
      const program = yield* longRun
      const children = childrenOf(program.pid)
      program.signal("SIGINT")
      assert.strictEqual(yield* program.code, 130)
      assert.deepStrictEqual(leftBy(program), [])
      for (const { pid } of children) assert.isFalse(isAlive(pid))
    }))

  it.live("ends when a member dies that was not to", () =>
    Effect.gen(function*() {
      const program = yield* longRun
      const [child] = childrenOf(program.pid)
      process.kill(child?.pid ?? 0, "SIGKILL")
      assert.strictEqual(yield* program.code, 1)
      assert.match(program.stderr, new RegExp(`member-\\d \\(pid ${child?.pid}\\) died: killed by SIGKILL`))
      assert.deepStrictEqual(leftBy(program), [])
    }))

  it.live("leaves no member behind when it is killed itself, and nothing that the next run does not remove", () =>
    Effect.gen(function*() {
      const program = yield* longRun
      const children = childrenOf(program.pid)
      program.signal("SIGKILL")
      yield* program.ended
      yield* untilTrue("the members' end", () => children.every(({ pid }) => !isAlive(pid)))
      assert.strictEqual((yield* run(["demo", "barrier", ...small])).code, 0)
      assert.deepStrictEqual(leftBy(program), [])
    }))
})
